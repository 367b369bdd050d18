"""An export in S3: parts under a prefix, and the state of one that goes on, which one process alone can write."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import InvalidInputError, OutputError
from stepvec.export.format import MANIFEST, ExportedFile, ExportManifest
from stepvec.export.state import STATE
from stepvec.export.targets import PART, WAIT
from stepvec.runs.layout import S3Uri


class BucketTarget:
    """A prefix in S3. Each part is one upload, whole or not there; the manifest comes last.

    S3 has no locks. Whoever begins an export or goes on with one writes its state, and S3 takes it only over the state
    that was read before, by ETag (conditional writes). So of two at once the later has it, and the earlier stops at its
    next part, removes what it uploaded since, and publishes nothing.
    """

    def __init__(self, store: ObjectStore, uri: S3Uri) -> None:
        self._store = store
        self._etag: str | None = None
        self._state = b""
        self._unsaved: set[str] = set()
        self._lock = threading.Lock()
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
        state, self._etag = self._store.read_with_etag(self._at(STATE)) or (None, None)
        return state

    def write_state(self, state: bytes) -> None:
        """As Target has it."""
        etag = self._store.write_if_same(self._at(STATE), state, self._etag)
        if etag is None:
            with self._lock:
                unsaved = sorted(self._unsaved)
            for name in unsaved:
                self._store.delete(self._at(name))
            raise OutputError(f"Another `stepvec export` has taken over {self._uri}.", remedy=WAIT)
        with self._lock:
            self._unsaved = {name for name in self._unsaved if name.encode() not in state}
        self._etag, self._state = etag, state

    def release(self) -> None:
        """Nothing: whoever comes later takes it over."""

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """As Target has it: parts are here until they are uploaded."""
        with tempfile.TemporaryDirectory(prefix="stepvec-export-") as folder:
            yield Path(folder)

    def keep(self, part: Path) -> None:
        """As Target has it."""
        with self._lock:
            self._unsaved.add(part.name)
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
        self._etag = None

    def publish(self, manifest: bytes, names: frozenset[str]) -> None:
        """As Target has it. An export that is replaced is whole until its manifest is."""
        # Still ours; and whoever takes it over from here on finds no state to write over, and stops.
        self.write_state(self._state)
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
