"""Stand-ins for S3 and DynamoDB that behave as the adapters do, in memory."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any

from stepvec.adapters.object_store import ObjectPage, ObjectStore, ObjectVersion
from stepvec.adapters.vector_index import VectorIndex
from stepvec.adapters.vector_table import VectorTable
from stepvec.errors import StorageError
from stepvec.rows.indexed import IndexedVector, VectorToIndex
from stepvec.rows.item import RowMetadata, VectorItem
from stepvec.runs.layout import RunLayout, S3Uri
from stepvec.runs.listing import ListedImage

LAYOUT = RunLayout("work", "r")
"""Of most tests' one run."""
MODEL = "resnet18_v2/a81db45fd7b7/standard-1"
WRITTEN = datetime(2026, 11, 22, tzinfo=UTC)
"""When every object of a MemoryStore was written."""


class MemoryStore(ObjectStore):
    """An ObjectStore over dicts. `page_size` keys a page; listings are in the order of the keys' UTF-8 bytes."""

    def __init__(self, *, page_size: int = 1000) -> None:
        self.files: dict[tuple[str, str], bytes] = {}
        self.etags: dict[tuple[str, str], tuple[int, str]] = {}
        self.page_size = page_size

    def add_image(self, bucket: str, key: str, *, size: int = 10, etag: str | None = None) -> None:
        self.etags[bucket, key] = (size, etag or f"etag-of-{key}")

    def list_page(self, bucket: str, prefix: str, after: str) -> ObjectPage:
        keys = sorted(
            (key for owner, key in self.etags if owner == bucket and key.startswith(prefix) and _is_after(key, after)),
            key=str.encode,
        )
        page = tuple(ListedImage(key, *self.etags[bucket, key]) for key in keys[: self.page_size])
        return ObjectPage(page, is_last=len(keys) <= self.page_size)

    def head(self, bucket: str, key: str) -> ListedImage | None:
        if (bucket, key) in self.etags:
            return ListedImage(key, *self.etags[bucket, key])
        if (bucket, key) in self.files:
            return ListedImage(key, len(self.files[bucket, key]), "file")
        return None

    def look_up(self, bucket: str, key: str) -> ListedImage:
        return self.head(bucket, key) or ListedImage(key, 0, "")

    def version(self, bucket: str, key: str) -> ObjectVersion | None:
        found = self.head(bucket, key)
        return None if found is None else ObjectVersion(found.etag, WRITTEN)

    @contextmanager
    def open(self, uri: S3Uri) -> Iterator[IO[bytes]]:
        if (uri.bucket, uri.key) not in self.files:
            raise StorageError(f"no {uri}", remedy="")
        yield io.BytesIO(self.files[uri.bucket, uri.key])

    def write(self, uri: S3Uri, body: bytes, *, content_type: str = "application/json") -> None:
        self.files[uri.bucket, uri.key] = body

    def write_if_absent(self, uri: S3Uri, body: bytes, *, content_type: str = "application/json") -> bool:
        return self.files.setdefault((uri.bucket, uri.key), body) is body

    def upload(self, uri: S3Uri, stream: IO[bytes]) -> None:
        self.files[uri.bucket, uri.key] = stream.read()

    def document(self, uri: S3Uri) -> Any:
        return json.loads(self.files[uri.bucket, uri.key])


def _is_after(key: str, after: str) -> bool:
    return key.encode() > after.encode()


@dataclass
class MemoryIndex(VectorIndex):
    """A VectorIndex over a dict of entries by image id."""

    held: dict[str, IndexedVector] = field(default_factory=dict)

    def entries(self, image_ids: Iterable[str]) -> Iterator[dict[str, IndexedVector]]:
        ids = list(image_ids)
        for start in range(0, len(ids), 100):
            yield {name: self.held[name] for name in ids[start : start + 100] if name in self.held}

    def put(self, vectors: Sequence[VectorToIndex]) -> None:
        self.held.update({vector.entry.image_id: vector.entry for vector in vectors})


@dataclass
class MemoryTable(VectorTable):
    """A VectorTable over a dict of metadata. `rows` keeps what was put."""

    stored: dict[str, RowMetadata] = field(default_factory=dict)
    rows: dict[str, VectorItem] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.read_units = 0.0
        self.write_units = 0.0
        self.largest_read = 0

    def is_empty(self) -> bool:
        self.read_units += 1
        return not self.stored

    def metadata(self, image_ids: Iterable[str], *, consistent: bool) -> Iterator[dict[str, RowMetadata]]:
        ids = list(image_ids)
        self.largest_read = max(self.largest_read, len(ids))
        for start in range(0, len(ids), 100):
            self.read_units += len(ids[start : start + 100]) / 2
            yield {name: self.stored[name] for name in ids[start : start + 100] if name in self.stored}

    def put(self, item: VectorItem, *, over: RowMetadata | None = None) -> RowMetadata | None:
        self.rows[item.image_id] = item
        self.stored[item.image_id] = RowMetadata(item.image_id, item.key, item.etag, item.model, item.run)
        return None
