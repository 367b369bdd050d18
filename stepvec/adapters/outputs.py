"""Files that a command writes: looked at before its work begins, and whole or not there after it.

Whether something can be written is tried and not guessed: modes mean nothing to root, nor to a read-only file system.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stepvec.errors import OutputError

REMEDY: Final = "Give another place with --out."
FULL_CODES: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_PROBE: Final = bytes(4096)
"""A block: on a full disk a file can often be made, and nothing be written into it."""
_WRITE_CODES: Final = FULL_CODES | {errno.EFBIG, errno.EROFS}
"""Errors that only writing ends in; any other in the block of `written` may come from what it reads."""
_MODE: Final = 0o666
"""As open() makes files: the user's umask takes from it."""


@dataclass(frozen=True, slots=True)
class Need:
    """How many bytes a command is expected to write, and what for, in words: "the vectors of 300 photos"."""

    bytes: int
    what: str


NOTHING: Final = Need(0, "")


def check_suffix(path: Path, suffixes: Collection[str]) -> str:
    """The suffix of `path`, in lower case. Raises OutputError where it is not one of `suffixes`."""
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise OutputError(
            f"{path} ends in {suffix or 'no suffix'}, which is not a form that is written.",
            remedy=f"End its name in {' or '.join(suffixes)}.",
        )
    return suffix


def check_file(path: Path, need: Need = NOTHING, *, remedy: str = REMEDY) -> None:
    """Raises OutputError where a file `path` could not be written, or replaced if it is there. Leaves nothing behind.

    A parent folder that is missing may be, if it can be made.
    """
    _check_text(path)
    _check_target(path, remedy)
    _probe(_target(path).parent, need, remedy)


def check_folder(path: Path, names: Iterable[str] = (), need: Need = NOTHING, *, remedy: str = REMEDY) -> None:
    """Raises OutputError where the files `names` could not be written to the folder `path`, which need not be there."""
    _check_text(path)
    for name in names:
        _check_target(path / name, remedy)
    _probe(_target(path), need, remedy)


@contextmanager
def written(path: Path, *, remedy: str = REMEDY) -> Iterator[Path]:
    """A file to write in the block, beside `path` and with its suffix, which becomes `path` at the block's end.

    Where the block raises, `path` stays what it was and nothing is left. Raises OutputError where the disk is full or
    the file cannot be written. It is on the disk before it has its name, so that a lost machine leaves no half of it.
    """
    target = _target(path)
    unfinished = target.with_name(f".stepvec-{secrets.token_hex(6)}{target.suffix}")
    try:
        try:
            _make(target, unfinished)
        except OSError as error:
            raise refused(path, error, remedy) from error
        try:
            yield unfinished
        except OSError as error:
            if error.errno in _WRITE_CODES:
                raise refused(path, error, remedy) from error
            raise
        try:
            _sync(unfinished)
            unfinished.replace(target)
            _sync(target.parent)
        except OSError as error:
            raise refused(path, error, remedy) from error
    finally:
        # The writers of some libraries have unfinished files of their own, whose names go on.
        for left in target.parent.glob(f"{unfinished.name}*"):
            with suppress(OSError):
                left.unlink(missing_ok=True)


def fallback_folder(need: Need = NOTHING) -> Path:
    """A new folder for results that their own place does not take: where one is run, at home, or for temporary files.

    Raises OutputError where none of these takes them.
    """
    places = (Path.cwd, Path.home, lambda: Path(tempfile.gettempdir()), lambda: Path("/var/tmp"))  # noqa: S108
    for place in places:
        try:
            where = place()
            check_folder(where, need=need)
            return Path(tempfile.mkdtemp(prefix="stepvec-results-", dir=where))
        except (OutputError, OSError, RuntimeError):  # RuntimeError: a user without a home
            continue
    raise OutputError(
        "No other folder takes the results either (the current one, home, temporary files).", remedy="Free some space."
    )


def refused(path: Path, error: OSError, remedy: str = REMEDY) -> OutputError:
    """What the operating system said about writing `path`, as our error."""
    if error.errno in FULL_CODES:
        return OutputError(f"{path} cannot be written: its disk is full.", remedy=f"Free some space. {remedy}")
    named = "" if error.filename is None else str(error.filename)
    where = "" if not named or named.endswith(str(path)) or _is_ours(named) else f" ({named})"
    return OutputError(f"{path} cannot be written: {error.strerror or error}{where}.", remedy=remedy)


def _is_ours(name: str) -> bool:
    return Path(name).name.startswith(".stepvec-")


def _check_text(path: Path) -> None:
    if "\0" in str(path):
        raise OutputError(f"{str(path)!a} cannot be the name of a file.", remedy="Give a name without a zero byte.")


def _target(path: Path) -> Path:
    """Where `path` leads: a link is kept, and what it leads to is replaced."""
    return Path(os.path.realpath(path))


def _check_target(path: Path, remedy: str) -> None:
    """Raises OutputError where something is at `path` that is no file or may not be written."""
    target = _target(path)
    try:
        mode = target.stat().st_mode
        if stat.S_ISDIR(mode):
            raise OutputError(f"{path} is a folder, and a file is to be written.", remedy=f"Name a file. {remedy}")
        if not stat.S_ISREG(mode):
            raise OutputError(f"{path} is not a file that can be replaced (a device or a pipe).", remedy=remedy)
        os.close(os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC))
    except (FileNotFoundError, NotADirectoryError):
        return  # the folder's turn: _probe says what is wrong with that
    except OSError as error:
        raise refused(path, error, remedy) from error


def _probe(folder: Path, need: Need, remedy: str) -> None:
    """Write a block into `folder` and take it away again, with the folders that had to be made for it."""
    made: list[Path] = []
    try:
        missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        nearest = missing[-1].parent if missing else folder
        if not nearest.is_dir():
            raise OutputError(f"{nearest} is a file, and a folder is needed there.", remedy=remedy)
        for parent in reversed(missing):
            parent.mkdir()
            made.append(parent)
        with tempfile.TemporaryFile(prefix=".stepvec-", dir=folder) as file:
            file.write(_PROBE)
            file.flush()
            os.fsync(file.fileno())
        _check_space(folder, need, remedy)
    except OSError as error:
        raise refused(folder, error, remedy) from error
    finally:
        for folder_made in reversed(made):
            with suppress(OSError):
                folder_made.rmdir()


def _check_space(folder: Path, need: Need, remedy: str) -> None:
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if free < need.bytes:
        raise OutputError(
            f"{folder} has {_size(free)} free, and {need.what} are expected to take {_size(need.bytes)}.",
            remedy=f"Free some space. {remedy}",
        )


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} bytes"


def _make(target: Path, unfinished: Path) -> None:
    """An empty file `unfinished` with the mode that `target` has or that a new file gets."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
    with suppress(FileNotFoundError):
        unfinished.chmod(stat.S_IMODE(target.stat().st_mode))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has no fsync of folders
            raise
    finally:
        os.close(descriptor)
