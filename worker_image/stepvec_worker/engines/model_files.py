"""The files of a model directory against what their card says."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from stepvec.errors import WeightsError

REMEDY: Final = "Make the model again with `stepvec weights`, and give its directory."


def verify_file(path: Path, sha256: str) -> None:
    """Raises WeightsError where the file is missing or is not, byte for byte, the one that the card describes."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.", remedy=REMEDY) from error
    if found != sha256:
        raise WeightsError(f"{path} has the sha256 {found}, its card says {sha256}.", remedy=REMEDY)
