"""Photos on disk, and the keys they get in the image bucket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from stepvec.errors import InvalidInputError
from stepvec.limits import KEY_BYTES
from stepvec.runs.images import IMAGE_SUFFIXES, ONLY_IMAGES, SuffixRule

PREFIX: Final = "photos/"
NOT_A_FILE: Final = "(not a file)"
"""A link that leads nowhere, a socket: what has a name and no content."""
_UPLOAD_THREADS: Final = 8


def collect_photos(
    paths: Iterable[Path], ignored: Counter[str] | None = None, *, suffixes: SuffixRule = ONLY_IMAGES
) -> dict[str, Path]:
    """The photos that `paths` name, by key: files as they are, folders with all below them.

    A folder's photos lie under its name; two folders or files of one name are told apart by a number. Links are
    followed, also to folders. What `suffixes` leave out of a folder is counted in `ignored`, by suffix. Raises
    InvalidInputError for a path that does not exist, a file without the suffix of an image, a name that cannot be a
    key, and where there are no photos.
    """
    photos: dict[str, Path] = {}
    for path in paths:
        if path.is_dir():
            found = {entry.relative_to(path).as_posix(): entry for entry in _below(path, suffixes, ignored)}
            base = _free(f"{PREFIX}{path.resolve().name}", {key.split("/")[1] for key in photos})
            photos |= {f"{base}/{name}": entry for name, entry in found.items()}
        elif path.is_file() and not suffixes.ignored_as(path.name, 1):
            photos[_free(f"{PREFIX}{path.name}", {key.removeprefix(PREFIX) for key in photos})] = path
        elif path.is_file():
            raise InvalidInputError(
                f"{path} does not end like an image.",
                remedy=f"Images end in {_endings(suffixes)}. Say what else is one with --suffix.",
            )
        else:
            raise InvalidInputError(f"{path} does not exist.", remedy="Give photos, or folders of photos.")
    for key, path in photos.items():
        _check_key(key, path)
    if not photos:
        raise InvalidInputError("There are no photos in these paths.", remedy=f"Photos end in {_endings(suffixes)}.")
    return photos


def upload_photos(client: Any, bucket: str, photos: dict[str, Path], on_upload: Callable[[], None]) -> None:
    """Put the photos into the bucket, calling `on_upload` after each.

    Raises InvalidInputError for a file that cannot be read.
    """

    def upload(photo: tuple[str, Path]) -> None:
        key, path = photo
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InvalidInputError(
                f"{str(path)!a} cannot be read: {error.strerror}.", remedy="Make it readable, or leave it out."
            ) from error
        client.put_object(Bucket=bucket, Key=key, Body=data)

    with ThreadPoolExecutor(_UPLOAD_THREADS, thread_name_prefix="upload") as pool:
        for _ in pool.map(upload, photos.items()):
            on_upload()


def _check_key(key: str, path: Path) -> None:
    """Raises InvalidInputError where `key` cannot be one: a file's name may be any bytes, a key is Unicode text."""
    try:
        length = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"The name of {str(path)!a} is not valid Unicode.", remedy="Rename it, or leave it out."
        ) from error
    if length > KEY_BYTES:
        raise InvalidInputError(
            f"The path of {str(path)!a:.60}... is {length:,} bytes long as a key.",
            remedy=f"A key has at most {KEY_BYTES:,}: give a folder further down.",
        )


def _endings(suffixes: SuffixRule) -> str:
    return ", ".join(sorted({*IMAGE_SUFFIXES, *suffixes.more}))


def _below(folder: Path, suffixes: SuffixRule, ignored: Counter[str] | None) -> list[Path]:
    """The photos below `folder`; what else is there is counted in `ignored`."""
    found = []
    for entry in _files_below(folder, ()):
        # The key, not the name: what macOS zipped is told by its folder's name.
        key = entry.relative_to(folder).as_posix()
        end = suffixes.ignored_as(key, 1) if entry.is_file() else NOT_A_FILE
        if not end:
            found.append(entry)
        elif ignored is not None:
            ignored[end] += 1
    return sorted(found)


def _files_below(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """Whatever is below `folder` but folders. A link to a folder that it lies in leads nowhere new, and is left out."""
    if len(above) > KEY_BYTES // 2:
        raise InvalidInputError(
            f"{str(folder)!a:.200} lies too deep for its photos to have keys.", remedy="Give a folder further down."
        )
    try:
        status = folder.stat()
        entries = list(folder.iterdir())
    except OSError as error:
        raise InvalidInputError(
            f"The folder {str(folder)!a} cannot be read: {error.strerror}.", remedy="Make it readable, or leave it out."
        ) from error
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    for entry in entries:
        if entry.is_dir():
            yield from _files_below(entry, (*above, identity))
        else:
            yield entry


def _free(key: str, taken: set[str]) -> str:
    stem, dot, suffix = key.removeprefix(PREFIX).rpartition(".") if "." in key else (key.removeprefix(PREFIX), "", "")
    name, number = f"{stem}{dot}{suffix}", 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}{dot}{suffix}"
    return f"{PREFIX}{name}"
