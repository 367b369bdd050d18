"""A weights file of any kind that is read here, recognised by its content: never by its name.

MXNet's .params, the model store's .zip around one, and torch's .pth of torchvision or of the EfficientNet package.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from stepvec.errors import WeightsError
from stepvec.rows.model import ARCHITECTURES, Architecture
from stepvec.weights.parameter_names import (
    efficientnet_names,
    legacy_names,
    structured_names,
    torchvision_names,
    without_legacy_prefix,
)
from stepvec.weights.params_file import read_params
from stepvec.weights.specs import Parameters
from stepvec.weights.state_dict import State, rename
from stepvec.weights.torch_file import is_legacy_torch_file, is_zip_torch_file, read_legacy, read_zip

MAX_BYTES: Final = 256 * 1024 * 1024
"""More than any file of these architectures has (ResNet18: 47 MB); nothing larger is read or unpacked."""

_ZIP_BEGINNING: Final = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Weights:
    """Canonical parameters, and the architecture that they are of."""

    architecture: Architecture
    parameters: Parameters


def read_weights(data: bytes, *, where: str, architecture: Architecture | None = None) -> Weights:
    """The weights in `data`; `where` names the file in errors.

    The architecture is told from the parameters' names. Raises WeightsError for a file of no known kind,
    a damaged one, one whose parameters do not fit (naming the first that does not), and one that holds another
    architecture than the wanted `architecture`.
    """
    state = _read_state(data, where)
    plain = without_legacy_prefix(state)
    candidates = [(names, arrays) for arrays in (state, plain) for names in _known_names()]
    # The naming that shares the most with the file is what the file is meant to be. The first of equals wins.
    best, arrays = max(candidates, key=lambda candidate: len(candidate[0].theirs & candidate[1].keys()))
    if not best.theirs & arrays.keys():
        raise WeightsError(
            f"{where} holds none of the parameters of {', '.join(ARCHITECTURES)}.",
            remedy="Give ResNet18 of MXNet or torchvision, or EfficientNet-Lite0.",
        )
    if architecture not in (None, best.architecture):
        raise WeightsError(
            f"{where} holds {best.architecture}, not {architecture}.",
            remedy="Give another file or leave out --architecture.",
        )
    try:
        return Weights(best.architecture, rename(best.architecture, best.ours_to_theirs, arrays))
    except WeightsError as error:
        raise WeightsError(f"{where}: {error.message}", remedy=error.remedy) from error


def file_in_zip(data: bytes, suffix: str, *, where: str) -> bytes:
    """The one member of the archive `data` whose name ends in `suffix`. Raises WeightsError where that cannot be."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(suffix)]
            if len(members) != 1:
                raise WeightsError(
                    f"{where} holds {len(members)} files *{suffix}, not one.", remedy="Give the file itself."
                )
            # What the archive says about sizes is not believed: reading stops at the limit.
            with archive.open(members[0]) as file:
                content = file.read(MAX_BYTES + 1)
    except _ZIP_ERRORS as error:
        raise WeightsError(f"{where} is a damaged zip file: {error}.", remedy="Get it again.") from error
    if len(content) > MAX_BYTES:
        raise too_large(f"{members[0].filename} in {where}")
    return content


def too_large(where: str) -> WeightsError:
    """The error for a file beyond MAX_BYTES."""
    return WeightsError(
        f"{where} has more than {MAX_BYTES:,} bytes, so it is none of these architectures.",
        remedy="Give ResNet18 of MXNet or torchvision, or EfficientNet-Lite0.",
    )


_ZIP_ERRORS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
)
"""What zipfile raises on archives that are damaged, encrypted, or compressed in a way of their own."""


@dataclass(frozen=True, slots=True)
class _Names:
    architecture: Architecture
    ours_to_theirs: dict[str, str]

    @property
    def theirs(self) -> set[str]:
        return set(self.ours_to_theirs.values())


def _known_names() -> Iterator[_Names]:
    for architecture in ARCHITECTURES:
        yield _Names(architecture, structured_names(architecture))
    yield _Names("resnet18_v1", torchvision_names())
    yield _Names("efficientnet_lite0", efficientnet_names())
    yield _Names("resnet18_v1", legacy_names("resnet18_v1"))
    yield _Names("resnet18_v2", legacy_names("resnet18_v2"))


def _read_state(data: bytes, where: str) -> State:
    if len(data) > MAX_BYTES:
        raise too_large(where)
    if is_legacy_torch_file(data):
        return read_legacy(data, where=where)
    if not data.startswith(_ZIP_BEGINNING):
        return read_params(data, where=where)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if is_zip_torch_file(archive):
                return read_zip(archive, where=where)
    except _ZIP_ERRORS as error:
        raise WeightsError(f"{where} is a damaged zip file: {error}.", remedy="Get it again.") from error
    return read_params(file_in_zip(data, ".params", where=where), where=where)
