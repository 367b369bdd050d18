"""Lines of listing and shard files. There may be a hundred million, so they are read and written by hand."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from stepvec.errors import RecordError


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image as S3 lists it. `etag` has no quotes; it is "" where a manifest names a key that does not exist."""

    key: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class ShardImage:
    """An image of a shard: what was listed, and the id its row gets."""

    key: str
    size: int
    etag: str
    image_id: str


def dump_listing(images: Iterable[ListedImage]) -> bytes:
    """A listing file: gzipped JSON Lines, the same bytes for the same images."""
    return _dump({"key": image.key, "size": image.size, "etag": image.etag} for image in images)


def dump_shard(images: Iterable[ShardImage]) -> bytes:
    """A shard file: gzipped JSON Lines, the same bytes for the same images."""
    return _dump(
        {"key": image.key, "size": image.size, "etag": image.etag, "image_id": image.image_id} for image in images
    )


def read_listing(stream: IO[bytes], *, where: str) -> Iterator[ListedImage]:
    """The lines of a listing file, one at a time. Raises RecordError naming the line that is wrong."""
    for number, line in enumerate(gzip.GzipFile(fileobj=stream, mode="rb"), 1):
        try:
            fields = json.loads(line)
            yield ListedImage(fields["key"], fields["size"], fields["etag"])
        except (ValueError, KeyError, TypeError) as error:
            raise _line_error(where, number, error) from error


def read_shard(stream: IO[bytes], *, where: str) -> Iterator[ShardImage]:
    """The lines of a shard file, one at a time. Raises RecordError naming the line that is wrong."""
    for number, line in enumerate(gzip.GzipFile(fileobj=stream, mode="rb"), 1):
        yield parse_shard_line(line, where=where, number=number)


def parse_shard_line(line: bytes, *, where: str, number: int) -> ShardImage:
    """The image in line `number` of the shard file `where`. Raises RecordError naming the line."""
    try:
        fields = json.loads(line)
        return ShardImage(fields["key"], fields["size"], fields["etag"], fields["image_id"])
    except (ValueError, KeyError, TypeError) as error:
        raise _line_error(where, number, error) from error


def _dump(lines: Iterable[dict[str, object]]) -> bytes:
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    # surrogatepass: S3 keys are UTF-8, yet a manifest may hold any JSON string. mtime=0: same input, same bytes.
    return gzip.compress(text.encode("utf-8", "surrogatepass"), compresslevel=5, mtime=0)


def _line_error(where: str, number: int, error: Exception) -> RecordError:
    return RecordError(f"{where}, line {number}: {error!r}.", remedy="Start the run again.")
