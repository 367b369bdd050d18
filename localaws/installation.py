"""Checks that the environment holds the moto that the embedded AWS was checked against."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

from localaws.errors import InstallationError

MOTO_VERSION: Final = "5.2.5"


def check_installation() -> None:
    """Raises InstallationError when moto is missing or of another version."""
    try:
        found = f"moto {version('moto')}"
    except PackageNotFoundError:
        found = "no moto"
    if found != f"moto {MOTO_VERSION}":
        raise InstallationError(
            f"There is {found} here, and the embedded AWS was checked against {MOTO_VERSION}.",
            remedy="Install requirements/project.txt.",
        )
