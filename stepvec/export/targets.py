"""Where an export goes: a folder of this machine, or a prefix in S3 (bucket_target.py).

It counts once its manifest is there.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from stepvec.adapters.locks import lock_file
from stepvec.adapters.outputs import check_file, check_folder, written
from stepvec.errors import InvalidInputError, OutputError
from stepvec.export.format import INDEX, MANIFEST, ExportedFile
from stepvec.export.state import STATE

PART: Final = re.compile(r"part-\w+-\d{2}-\d{5}\.parquet")
"""Each export's parts have names of their own, so that one that is replaced stays whole until the manifest changes."""
LOCK: Final = "_lock"
WAIT: Final = "Wait until it has ended, or give another --out."


class Target(Protocol):
    """What an export is written to."""

    def check(self, *, replace: bool) -> None:
        """Raise InvalidInputError where there is a finished export that is not to be replaced, or something else."""

    def read_state(self) -> bytes | None:
        """What write_state wrote last; None where no export is going on."""

    def write_state(self, state: bytes) -> None:
        """Keep `state` in place of the one before. Raises OutputError where another process writes the same export."""

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder of this machine to write parts in."""
        yield Path()

    def keep(self, part: Path) -> None:
        """Take a part that is whole."""

    def has(self, part: ExportedFile) -> bool:
        """Whether a part that was kept is there, and as long as it was."""

    def discard(self) -> None:
        """Remove what an export that was not finished left."""

    def release(self) -> None:
        """Let others go on with the export: this process writes it no more."""

    def publish(self, manifest: bytes, names: frozenset[str]) -> None:
        """Make the export whole: of the kept parts, those in `names`, and `manifest`."""


class FolderTarget:
    """A folder `out`, which is made in one piece at the end; until then the export is in `out.unfinished`."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.unfinished = out.with_name(f"{out.name}.unfinished")
        self._lock: int | None = None

    def check(self, *, replace: bool) -> None:
        """As Target has it."""
        check_folder(self.unfinished)
        if self.out.is_dir() and not any(self.out.iterdir()):
            return
        is_export = (self.out / MANIFEST).is_file()
        if self.out.exists() and not (is_export and replace):
            what = "a finished export" if is_export else "other files" if self.out.is_dir() else "a file"
            remedy = "Give another --out, or --replace to put the new one in its place."
            raise InvalidInputError(
                f"{self.out} is {what} already." if not self.out.is_dir() or is_export else f"{self.out} holds {what}.",
                remedy=remedy if is_export else "Give another --out, a folder that does not exist yet.",
            )

    def read_state(self) -> bytes | None:
        """As Target has it."""
        file = self.unfinished / STATE
        return file.read_bytes() if file.is_file() else None

    def write_state(self, state: bytes) -> None:
        """As Target has it."""
        self.unfinished.mkdir(parents=True, exist_ok=True)
        self._take()
        _write_whole(self.unfinished / STATE, state)

    def _take(self) -> None:
        """Hold the folder that is there, until `release` or the process's end."""
        if self._lock is None:
            self._lock = lock_file(self.unfinished / LOCK, wait=False)
        if self._lock is None:
            raise OutputError(f"Another `stepvec export` is at work in {self.unfinished}.", remedy=WAIT)

    def release(self) -> None:
        """As Target has it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """As Target has it."""
        yield self.unfinished

    def keep(self, part: Path) -> None:
        """Nothing: it is where it belongs."""

    def has(self, part: ExportedFile) -> bool:
        """As Target has it."""
        file = self.unfinished / part.name
        return file.is_file() and file.stat().st_size == part.bytes

    def discard(self) -> None:
        """As Target has it."""
        if self.unfinished.is_dir():
            self._take()
            shutil.rmtree(self.unfinished)
            self.release()

    def publish(self, manifest: bytes, names: frozenset[str]) -> None:
        """As Target has it."""
        # The state goes first, here and in S3: an export that stops right then is made again, never taken for going on.
        for file in self.unfinished.iterdir():
            if not any(name == file.name or name.startswith(f"{file.name}/") for name in names):
                shutil.rmtree(file) if file.is_dir() else file.unlink()
        _write_whole(self.unfinished / MANIFEST, manifest)
        old = self.out.with_name(f"{self.out.name}.replaced")
        if self.out.exists():
            shutil.rmtree(old, ignore_errors=True)
            self.out.rename(old)
        self.unfinished.rename(self.out)
        if (old / INDEX).is_dir():
            (old / INDEX).rename(self.out / INDEX)
        shutil.rmtree(old, ignore_errors=True)


class FileTarget(FolderTarget):
    """One file `out`, which takes the place of one that is there."""

    def check(self, *, replace: bool) -> None:  # noqa: ARG002 - it always is
        """As Target has it."""
        check_file(self.out)
        check_folder(self.unfinished)

    def publish(self, manifest: bytes, names: frozenset[str]) -> None:  # noqa: ARG002 - its footer says it
        """As Target has it."""
        for name in names:
            (self.unfinished / name).replace(self.out)
        self.discard()


def _write_whole(file: Path, content: bytes) -> None:
    """Write a file so that it is there whole, or as it was before."""
    with written(file) as unfinished:
        unfinished.write_bytes(content)
