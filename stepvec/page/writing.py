"""A page as files that any browser opens from the disk: one, or one beside a folder of pictures."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from stepvec.adapters.outputs import refused, written
from stepvec.client.pictures import Reader, data_url, thumbnails_of
from stepvec.client.thumbnails import NOTHING
from stepvec.page.album import Album
from stepvec.page.content import Content, Failures, picture_keys
from stepvec.page.rendering import Frame, render

IN_ONE_FILE: Final = 2_000
"""Photos up to which a page is one file: some 7 KB each."""
PICTURE_SUFFIX: Final = ".webp"
_FROM_FILE: Final = "data:"
_FROM_FOLDER: Final = "'self' file: data:"
"""From the disk, where no origin is 'self', and from a server that the folder was copied to."""


def write_page(path: Path, frame: Frame, album: Album, failures: Failures, read: Reader) -> None:
    """Write the page to `path`, with the pictures that `read` gives; of many photos these lie in pictures_folder(path).

    What an earlier page has left there goes. Raises OutputError where the disk does not take it.
    """
    keys = picture_keys(album, failures)
    folder = pictures_folder(path)
    if len(album) <= IN_ONE_FILE:
        pictures: Sequence[str] | str = list(map(data_url, thumbnails_of(keys, read)))
        shutil.rmtree(folder, ignore_errors=True)
        sources = _FROM_FILE
    else:
        with _replaced(folder) as unfinished:
            _write_into(unfinished, keys, read)
        pictures = f"{folder.name}/"
        sources = _FROM_FOLDER
    content = Content(
        title=frame.title,
        keys=album.keys,
        points=album.points(),
        failures=failures,
        pictures=pictures,
        suffix=PICTURE_SUFFIX,
        near=album.all_near(),
        groups=album.groups(),
    )
    document, _ = render(frame, content, pictures_from=sources)
    with written(path) as file:
        file.write_text(document, encoding="utf-8")


def pictures_folder(path: Path) -> Path:
    """Where the pictures of the page `path` lie, if they are many."""
    return path.with_name(f"{path.stem}-pictures")


def _write_into(folder: Path, keys: Sequence[str], read: Reader) -> None:
    for number, picture in enumerate(thumbnails_of(keys, read)):
        (folder / f"{number}{PICTURE_SUFFIX}").write_bytes(NOTHING if picture is None else picture)


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `folder` at the block's end, and is gone where the block raises."""
    unfinished = folder.with_name(f".stepvec-{secrets.token_hex(6)}")
    try:
        unfinished.mkdir()
        yield unfinished
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    except OSError as error:
        raise refused(folder, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
