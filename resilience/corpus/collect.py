"""The corpus's files: Pillow's own test images, two Debian packages of test images, and the generated ones.

What a machine cannot fetch is left out, and named.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from resilience.corpus.bombs import bombs, large_bombs
from resilience.corpus.damage import truncations
from resilience.corpus.disguises import disguises, hostile_keys
from resilience.corpus.encoders import encoded, scene
from stepvec.runs.images import ONLY_IMAGES

PILLOW_ARCHIVE: Final = "pillow-11.3.0.tar.gz"
PILLOW_IMAGES: Final = "pillow-11.3.0/Tests/images"
DEBIAN_PACKAGES: Final = {
    "gdk-pixbuf-tests": "usr/libexec/installed-tests/gdk-pixbuf",
    "libjxl-testdata": "usr/share/libjxl-testdata",
}
"""Packages, and where their files are in them."""
NAMED_SUFFIX: Final = ".jpg"
"""Added to names without an image suffix, so that everything is listed."""


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """A file on disk, its key in the bucket, and its right outcomes (None: any, they are not known)."""

    source: str
    path: Path
    key: str
    outcomes: frozenset[str] | None


def collect(folder: Path) -> tuple[list[CorpusFile], list[str]]:
    """The corpus, unpacked or written below `folder`, and what could not be fetched."""
    missing: list[str] = []
    files = [*_pillow(folder)]
    for package, below in DEBIAN_PACKAGES.items():
        found = _debian(folder, package, below)
        if not found:
            missing.append(f"{package}: apt-get and dpkg-deb did not give it")
        files += found
    files += _generated(folder / "generated")
    return files, missing


def _pillow(folder: Path) -> Iterator[CorpusFile]:
    root = folder / PILLOW_IMAGES
    if not root.is_dir():
        with tarfile.open(folder / PILLOW_ARCHIVE) as archive:
            archive.extractall(folder, filter="data")
    yield from _below("pillow", root)


def _debian(folder: Path, package: str, below: str) -> list[CorpusFile]:
    """The package's files; none if this is not Debian, or its archive does not answer."""
    unpacked = folder / package
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg-deb")
    if apt and dpkg and not unpacked.is_dir():
        subprocess.run([apt, "download", "-qq", package], cwd=folder, capture_output=True, check=False)
        for archive in folder.glob(f"{package}_*.deb"):
            subprocess.run([dpkg, "-x", archive, unpacked], check=True)
    return list(_below(package, unpacked / below))


def _below(source: str, root: Path) -> Iterator[CorpusFile]:
    for path in sorted(entry for entry in root.rglob("*") if entry.is_file()):
        name = path.relative_to(root).as_posix()
        more = NAMED_SUFFIX if ONLY_IMAGES.ignored_as(name, 1) else ""
        yield CorpusFile(source, path, f"{source}/{name}{more}", None)


def _generated(folder: Path) -> Iterator[CorpusFile]:
    folder.mkdir(parents=True, exist_ok=True)
    for make in (bombs, disguises, truncations, large_bombs):
        for image in make():
            path = folder / image.name
            path.write_bytes(image.data)
            yield CorpusFile("generated", path, f"generated/{image.name}", image.outcomes)
    for number, key in enumerate(hostile_keys()):
        path = folder / f"name-{number}.jpg"
        path.write_bytes(encoded(scene(60 + number, 40), "JPEG"))
        yield CorpusFile("names", path, key, frozenset({"embedded"}))
