"""Lines of listing and shard files. There may be a hundred million, so they are read and written by hand."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Final

from stepvec.errors import RecordError
from stepvec.runs.outcome import FailureReason, Refusal

LISTING_FILE_LINES: Final = 50_000
"""Images of one listing file: about 15 MB of memory in ListImages and ShardImages, whatever the run's size."""
SHARD_BYTES: Final = 20 * 1024**3
"""Most bytes of a shard's images, on average, so that shards of very large images are short too."""
CHUNKS_A_LOOK: Final = 20
"""Of so many chunks of a shard (100 images each) a worker's first attempt looks one up in the table."""

# Kept, since json.dumps with options makes an encoder for each line.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


_ETAG: Final = re.compile(r"[!#-~]{1,64}")
"""Visible ASCII without quotes. S3's have up to 38 characters; other stores' may be longer."""
ARCHIVE_CLASSES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects cannot be read before they are restored. GLACIER_IR's can.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html
"""
ARCHIVE_TIERS: Final = frozenset({"ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE", "DEEP_ARCHIVE_ACCESS"})
"""Tiers of INTELLIGENT_TIERING of which the same is true, as HeadObject (..._ACCESS) and inventories name them."""


def is_etag(text: str) -> bool:
    """Whether `text` can be an ETag without its quotes. It becomes part of a request's headers."""
    return _ETAG.fullmatch(text) is not None


def archived(
    storage_class: str, tier: str = "", *, is_restored: bool = False, is_restoring: bool = False
) -> Refusal | None:
    """Why an object of that class, and of that tier of INTELLIGENT_TIERING, cannot be read; None if it can."""
    is_archived = storage_class in ARCHIVE_CLASSES or tier in ARCHIVE_TIERS
    if is_restored or not (is_archived or is_restoring):
        return None
    where = f"{storage_class}, {tier}" if tier else storage_class
    if is_restoring:
        message = f"It is archived ({where}) and being restored: start again when that is done."
    else:
        message = (
            f"It is archived ({where}): restore it (aws s3api restore-object), or copy it to another class, "
            "then start again."
        )
    return Refusal(FailureReason.ARCHIVED, message)


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image as S3 lists it. `etag` has no quotes; it is "" where a manifest names a key that does not exist.

    `refused` says why it cannot be read, where the listing tells: archived objects, for example.
    """

    key: str
    size: int
    etag: str
    refused: Refusal | None = None


@dataclass(frozen=True, slots=True)
class ShardImage:
    """An image of a shard: what was listed, and the id its row gets."""

    key: str
    size: int
    etag: str
    image_id: str


def listing_line(image: ListedImage) -> bytes:
    """The line of a listing file that holds `image`."""
    fields: dict[str, object] = {"key": image.key, "size": image.size, "etag": image.etag}
    if image.refused is not None:
        fields["refused"] = [image.refused.reason.value, image.refused.message]
    return _line(fields)


def shard_line(image: ShardImage) -> bytes:
    """The line of a shard file that holds `image`."""
    return _line({"key": image.key, "size": image.size, "etag": image.etag, "image_id": image.image_id})


def dump_lines(lines: bytes | bytearray) -> bytes:
    """The file of these lines: gzipped, the same bytes for the same lines."""
    # mtime=0: a header with the time of day would make each writing another file.
    return gzip.compress(lines, compresslevel=5, mtime=0)


def dump_listing(images: Iterable[ListedImage]) -> bytes:
    """A listing file: gzipped JSON Lines, the same bytes for the same images."""
    return dump_lines(b"".join(map(listing_line, images)))


def dump_shard(images: Iterable[ShardImage]) -> bytes:
    """A shard file: gzipped JSON Lines, the same bytes for the same images."""
    return dump_lines(b"".join(map(shard_line, images)))


def read_listing(stream: IO[bytes], *, where: str) -> Iterator[ListedImage]:
    """The lines of a listing file, one at a time. Raises RecordError naming the line that is wrong."""
    for number, line in enumerate(gzip.GzipFile(fileobj=stream, mode="rb"), 1):
        try:
            fields = json.loads(line.decode("utf-8", "surrogatepass"))
            refused = fields.get("refused")
            yield ListedImage(
                fields["key"],
                fields["size"],
                fields["etag"],
                Refusal(FailureReason(refused[0]), refused[1]) if refused else None,
            )
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise _line_error(where, number, error) from error


def read_shard(stream: IO[bytes], *, where: str) -> Iterator[ShardImage]:
    """The lines of a shard file, one at a time. Raises RecordError naming the line that is wrong."""
    for number, line in enumerate(gzip.GzipFile(fileobj=stream, mode="rb"), 1):
        yield parse_shard_line(line, where=where, number=number)


def parse_shard_line(line: bytes, *, where: str, number: int) -> ShardImage:
    """The image in line `number` of the shard file `where`. Raises RecordError naming the line."""
    try:
        fields = json.loads(line.decode("utf-8", "surrogatepass"))
        return ShardImage(fields["key"], fields["size"], fields["etag"], fields["image_id"])
    except (ValueError, KeyError, TypeError) as error:
        raise _line_error(where, number, error) from error


def _line(fields: dict[str, object]) -> bytes:
    # surrogatepass: an execution's earlier files may hold any JSON string, and reading them must name what is wrong.
    return _ENCODER.encode(fields).encode("utf-8", "surrogatepass") + b"\n"


def _line_error(where: str, number: int, error: Exception) -> RecordError:
    return RecordError(f"{where}, line {number}: {error!r}.", remedy="Start the run again.")
