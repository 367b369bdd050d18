"""Two exports to one place at once: one of them has it, the other stops, and what is published is whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import OutputError, StorageError
from stepvec.export.bucket_target import BucketTarget
from stepvec.export.format import MANIFEST, ExportManifest
from stepvec.export.targets import FolderTarget
from stepvec.runs.layout import S3Uri
from tests.export.conftest import fill, row
from tests.export.test_conversions import KEYS, export

URI = S3Uri("exports", "vectors/shared")


@pytest.fixture
def store(client: Callable[[str], Any]) -> ObjectStore:
    fill(client("dynamodb"), [row(key, number) for number, key in enumerate(KEYS)])
    made = ObjectStore(client("s3"))
    made.write(S3Uri(URI.bucket, "so that there is a bucket"), b"")
    for page in made.list_pages(URI.bucket, URI.key):
        for entry in page.objects:
            made.delete(S3Uri(URI.bucket, entry.key))
    return made


class Meanwhile(BucketTarget):
    """Something else happens before its second part is kept, or before it is published."""

    def __init__(self, store: ObjectStore, meanwhile: Callable[[], Any], *, at_publish: bool = False) -> None:
        super().__init__(store, URI)
        self._meanwhile, self._at_publish, self._kept = meanwhile, at_publish, 0

        # Its other lanes wait meanwhile: they would have it back before the other has begun.
        self._gate = threading.RLock()

    def keep(self, part: Path) -> None:
        with self._gate:
            self._kept += 1
            if self._kept == 2 and not self._at_publish:
                self._meanwhile()
        super().keep(part)

    def write_state(self, state: bytes) -> None:
        with self._gate:
            super().write_state(state)

    def publish(self, manifest: bytes, names: frozenset[str]) -> None:
        if self._at_publish:
            self._meanwhile()
        super().publish(manifest, names)


class BreaksOff(BucketTarget):
    """Cannot upload a part."""

    def keep(self, part: Path) -> None:
        raise StorageError(f"{part} is lost", remedy="again")


def assert_whole(store: ObjectStore) -> None:
    """The manifest names all rows, and the files that it names are there, and no others."""
    manifest = store.read_record(ExportManifest, S3Uri(URI.bucket, f"{URI.key}/{MANIFEST}"))
    assert manifest.rows == len(KEYS)
    listed = {entry.key: entry.size for page in store.list_pages(URI.bucket, URI.key) for entry in page.objects}
    files = {f"{URI.key}/{file.name}": file.bytes for file in manifest.files}
    assert {key: size for key, size in listed.items() if not key.endswith(MANIFEST)} == files


@pytest.mark.parametrize("at_publish", [False, True])
def test_the_later_one_finishes_and_the_earlier_one_publishes_nothing(
    client: Callable[[str], Any], store: ObjectStore, *, at_publish: bool
) -> None:
    finished: list[ExportManifest] = []
    meanwhile = lambda: finished.append(export(client, BucketTarget(store, URI)))  # noqa: E731
    with pytest.raises(OutputError, match="Another `stepvec export` has taken over s3://exports/vectors/shared/"):
        export(client, Meanwhile(store, meanwhile, at_publish=at_publish))
    assert store.read_record(ExportManifest, S3Uri(URI.bucket, f"{URI.key}/{MANIFEST}")) == finished[0]
    assert_whole(store)


def test_one_that_is_taken_over_by_another_that_breaks_off_stops_all_the_same(
    client: Callable[[str], Any], store: ObjectStore
) -> None:
    def meanwhile() -> None:
        with pytest.raises(StorageError):
            export(client, BreaksOff(store, URI))

    with pytest.raises(OutputError):
        export(client, Meanwhile(store, meanwhile))
    assert not store.exists(S3Uri(URI.bucket, f"{URI.key}/{MANIFEST}"))
    # The third goes on with what the first had kept.
    assert export(client, BucketTarget(store, URI)).rows == len(KEYS)
    assert_whole(store)


def test_one_whose_files_are_thrown_away_by_a_restart_stops(client: Callable[[str], Any], store: ObjectStore) -> None:
    with pytest.raises(OutputError):
        export(client, Meanwhile(store, BucketTarget(store, URI).discard))
    assert export(client, BucketTarget(store, URI)).rows == len(KEYS)
    assert_whole(store)


def test_a_folder_is_one_exports_until_it_ends_however_it_ends(
    client: Callable[[str], Any], store: ObjectStore, tmp_path: Path
) -> None:
    refused: list[str] = []

    class Held(FolderTarget):
        def keep(self, part: Path) -> None:
            super().keep(part)
            for attempt in (lambda: export(client, FolderTarget(self.out)), FolderTarget(self.out).discard):
                with pytest.raises(OutputError, match="Another `stepvec export` is at work in") as raised:
                    attempt()
                refused.append(str(raised.value))
            raise StorageError("lost", remedy="again")

    out = tmp_path / "vectors"
    with pytest.raises(StorageError):
        export(client, Held(out))
    assert refused
    assert export(client, FolderTarget(out)).rows == len(KEYS)
    assert not any("lock" in file.name for file in out.iterdir())
