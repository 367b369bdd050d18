"""Where an export goes: a folder of this machine, or a prefix in S3. It counts once its manifest is there."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.outputs import check_file, check_folder, written
from stepvec.errors import InvalidInputError
from stepvec.export.format import INDEX, MANIFEST, ExportedFile, ExportManifest
from stepvec.export.state import STATE
from stepvec.runs.layout import S3Uri

PART: Final = re.compile(r"part-\w+-\d{2}-\d{5}\.parquet")
"""Each export's parts have names of their own, so that one that is replaced stays whole until the manifest changes."""


class Target(Protocol):
    """What an export is written to."""

    def check(self, *, replace: bool) -> None:
        """Raise InvalidInputError where there is a finished export that is not to be replaced, or something else."""

    def read_state(self) -> bytes | None:
        """What write_state wrote last; None where no export is going on."""

    def write_state(self, state: bytes) -> None:
        """Keep `state` in place of the one before."""

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

    def publish(self, manifest: bytes, names: frozenset[str]) -> None:
        """Make the export whole: of the kept parts, those in `names`, and `manifest`."""


class FolderTarget:
    """A folder `out`, which is made in one piece at the end; until then the export is in `out.unfinished`."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.unfinished = out.with_name(f"{out.name}.unfinished")

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
        _write_whole(self.unfinished / STATE, state)

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
            shutil.rmtree(self.unfinished)

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


class BucketTarget:
    """A prefix in S3. Each part is one upload, whole or not there; the manifest comes last."""

    def __init__(self, store: ObjectStore, uri: S3Uri) -> None:
        self._store = store
        self._uri = S3Uri(uri.bucket, f"{uri.key.rstrip('/')}/" if uri.key else "")

    def check(self, *, replace: bool) -> None:
        """As Target has it."""
        if self._store.exists(self._at(MANIFEST)) and not replace:
            raise InvalidInputError(
                f"{self._uri} is a finished export already.",
                remedy="Give another --out, or --replace to put the new one in its place.",
            )
        known = {MANIFEST, STATE}
        for page in self._store.list_pages(self._uri.bucket, self._uri.key):
            for entry in page.objects:
                name = entry.key.removeprefix(self._uri.key)
                if name and name not in known and not PART.fullmatch(name):
                    raise InvalidInputError(
                        f"{self._uri} holds other objects, for example {entry.key!r}.",
                        remedy="Give a prefix of its own, under which nothing lies yet.",
                    )

    def read_state(self) -> bytes | None:
        """As Target has it."""
        if not self._store.exists(self._at(STATE)):
            return None
        with self._store.open(self._at(STATE)) as stream:
            return stream.read()

    def write_state(self, state: bytes) -> None:
        """As Target has it."""
        self._store.write(self._at(STATE), state)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """As Target has it: parts are here until they are uploaded."""
        with tempfile.TemporaryDirectory(prefix="stepvec-export-") as folder:
            yield Path(folder)

    def keep(self, part: Path) -> None:
        """As Target has it."""
        with part.open("rb") as stream:
            self._store.upload(self._at(part.name), stream)
        part.unlink()

    def has(self, part: ExportedFile) -> bool:
        """As Target has it."""
        found = self._store.head(self._uri.bucket, self._at(part.name).key)
        return found is not None and found.size == part.bytes

    def discard(self) -> None:
        """As Target has it."""
        names: frozenset[str] = frozenset()
        if self._store.exists(self._at(MANIFEST)):
            finished = self._store.read_record(ExportManifest, self._at(MANIFEST))
            names = frozenset(file.name for file in finished.files)
        self._delete_all_but(names)

    def publish(self, manifest: bytes, names: frozenset[str]) -> None:
        """As Target has it. An export that is replaced is whole until its manifest is."""
        self._store.delete(self._at(STATE))
        self._store.write(self._at(MANIFEST), manifest)
        self._delete_all_but(names)

    def _delete_all_but(self, names: frozenset[str]) -> None:
        for page in self._store.list_pages(self._uri.bucket, self._uri.key):
            for entry in page.objects:
                name = entry.key.removeprefix(self._uri.key)
                if name not in names and (name == STATE or PART.fullmatch(name)):
                    self._store.delete(S3Uri(self._uri.bucket, entry.key))

    def _at(self, name: str) -> S3Uri:
        return S3Uri(self._uri.bucket, f"{self._uri.key}{name}")


def _write_whole(file: Path, content: bytes) -> None:
    """Write a file so that it is there whole, or as it was before."""
    with written(file) as unfinished:
        unfinished.write_bytes(content)
