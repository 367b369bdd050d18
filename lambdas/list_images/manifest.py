"""A manifest as the source of keys: JSON Lines, or an S3 Inventory. Its bytes are foreign, and checked here."""

from __future__ import annotations

import csv
import json
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import IO, Any, Final

from lambdas.list_images.sources import ImageSource, SourcePage
from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import AccessDeniedError, InvalidInputError, StorageError
from stepvec.limits import KEY_BYTES, LAMBDA_DISK_BYTES, LIST_PAGE_KEYS, OBJECT_BYTES
from stepvec.runs.layout import S3Uri, is_key
from stepvec.runs.listing import ListedImage, archived, is_etag
from stepvec.runs.outcome import MIN_SYSTEMATIC_REFUSALS, FailureReason, Refusal
from stepvec.runs.steps import ListingCursor

HEAD_THREADS: Final = 32
"""HeadObject requests at a time, for manifest lines that give no ETag."""
MAX_FILE_BYTES: Final = LAMBDA_DISK_BYTES * 9 // 10
"""A file of keys is kept on the function's disk while it is read: some four million lines with sizes and ETags, or
twelve million gzipped."""
MAX_FILE_LINES: Final = 20_000_000
"""A later invocation reads the lines before its own once more, in two minutes at the most."""
MAX_LINE_BYTES: Final = 64 * 1024
"""A key of 1,024 bytes takes 6 KB as JSON, if all of it is escaped, and 3 KB in an inventory."""
FREE_BYTES: Final = 8 * 1024 * 1024
BYTES_PER_LINE: Final = 16 * 1024
"""A file may unpack to FREE_BYTES, and as much as this for each line that names a key: no more blank lines."""
INVENTORY_SUFFIX: Final = "manifest.json"
MAX_INVENTORY_BYTES: Final = 16 * 1024 * 1024
"""Of an inventory's manifest.json, which names its files in some 250 bytes each."""

Line = ListedImage | str | None
"""A line of a manifest: an object with size and ETag, a key alone, or nothing to be listed."""


def open_manifest(store: ObjectStore, uri: S3Uri, *, image_bucket: str, buckets: tuple[str, ...]) -> ImageSource:
    """The source that the manifest at `uri` describes. Raises InvalidInputError if it is not one."""
    file = store.head(uri.bucket, uri.key)
    if file is None:
        raise InvalidInputError(f"Manifest: there is no {uri}.", remedy="Check the URI.")
    is_inventory = uri.key.endswith(INVENTORY_SUFFIX)
    _check_size(uri, file.size, MAX_INVENTORY_BYTES if is_inventory else MAX_FILE_BYTES)
    if not is_inventory:
        return ManifestSource(store, image_bucket, [ManifestFile(uri, JsonLines(image_bucket))], named=True)
    with store.open(uri) as stream:
        files = _inventory_files(stream.read(), uri, image_bucket=image_bucket, buckets=buckets)
    return ManifestSource(store, image_bucket, files, named=False)


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file of keys, and how a stream of it is read."""

    uri: S3Uri
    lines: Callable[[ForeignLines], Iterator[Line]]


class ManifestSource:
    """The objects that some files name, in the files' order. A key without size and ETag is looked up in S3."""

    def __init__(self, store: ObjectStore, image_bucket: str, files: list[ManifestFile], *, named: bool) -> None:
        self._store = store
        self._bucket = image_bucket
        self._files = files
        self._named = named

    def pages(self, cursor: ListingCursor) -> Iterator[SourcePage]:
        """As ImageSource.pages. Raises InvalidInputError for a file that is malformed, and for no key at all.

        A page is LIST_PAGE_KEYS lines, blank ones among them, so that the caller sees the clock whatever there is.
        """
        while cursor.source < len(self._files):
            file = self._files[cursor.source]
            done = int(cursor.after or 0)
            with self._store.open_text(file.uri) as stream:
                lines = islice(_readable(file.lines(ForeignLines(stream, file.uri)), file.uri), done, None)
                while chunk := list(islice(lines, LIST_PAGE_KEYS)):
                    done += len(chunk)
                    named = [line for line in chunk if line is not None]
                    cursor = replace(cursor, after=str(done), found=cursor.found + len(named))
                    yield SourcePage(self._looked_up(named), cursor, named=self._named)
            cursor = replace(cursor, source=cursor.source + 1, after="")
            if cursor.source == len(self._files) and not cursor.found:
                raise InvalidInputError(f"Manifest: {file.uri} names no key.", remedy="Write one key a line.")
            yield SourcePage((), cursor, named=self._named)

    def _looked_up(self, lines: list[ListedImage | str]) -> tuple[ListedImage, ...]:
        keys = [line for line in lines if isinstance(line, str)]
        if not keys:
            return tuple(line for line in lines if not isinstance(line, str))
        with ThreadPoolExecutor(HEAD_THREADS, thread_name_prefix="head") as pool:
            # A key that does not exist goes on with an empty ETag: the worker reports it as NotFound.
            found = list(pool.map(lambda key: self._store.look_up(self._bucket, key), keys))
        _check_refusals([image.refused for image in found])
        looked_up = iter(found)
        return tuple(next(looked_up) if isinstance(line, str) else line for line in lines)


class ForeignLines:
    """The lines of a foreign stream: none longer than memory allows, and no more than the keys in them are worth.

    `number` is that of the line last given, and `used` is to be raised for each that named a key.
    """

    def __init__(self, stream: IO[bytes], uri: S3Uri) -> None:
        self._stream = stream
        self.uri = uri
        self.number = 0
        self.used = 0
        self._bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        """The lines. Raises InvalidInputError for one that is too long, and for too many that name no key."""
        while line := self._stream.readline(MAX_LINE_BYTES + 1):
            self.number += 1
            self._bytes += len(line)
            if len(line) > MAX_LINE_BYTES:
                raise self.problem(f"has over {MAX_LINE_BYTES:,} bytes")
            if self._bytes > FREE_BYTES + self.used * BYTES_PER_LINE:
                raise InvalidInputError(
                    f"Manifest: {self.uri} has {self._bytes:,} bytes in {self.number:,} lines for {self.used:,} keys.",
                    remedy="Leave out blank lines and what is not a key.",
                )
            if self.number > MAX_FILE_LINES:
                raise InvalidInputError(
                    f"Manifest: {self.uri} has over {MAX_FILE_LINES:,} lines.", remedy="Split it into several runs."
                )
            yield line

    def problem(self, what: str) -> InvalidInputError:
        """The error that names the line last given."""
        return InvalidInputError(
            f"Manifest: line {self.number} of {self.uri} {what}.",
            remedy='Write one JSON string or object a line: "images/1.jpg" or {"key": "images/1.jpg"}.',
        )


def _check_refusals(refusals: list[Refusal | None]) -> None:
    """Raises a StorageError where S3 refused every one of the keys: then it is hardly the objects' fault."""
    reasons = {refusal and refusal.reason for refusal in refusals}
    first = refusals[0].message if refusals[0] else ""
    if reasons == {FailureReason.ACCESS_DENIED}:
        raise AccessDeniedError(
            f"S3 denied ListImages all of the {len(refusals)} keys that it looked up. {first}",
            remedy="Allow its role s3:GetObject on the image bucket, and kms:Decrypt on its KMS key.",
        )
    if len(refusals) >= MIN_SYSTEMATIC_REFUSALS and reasons <= {FailureReason.ACCESS_DENIED, FailureReason.UNREADABLE}:
        raise StorageError(
            f"S3 refused all of the {len(refusals)} keys that ListImages looked up. {first}",
            remedy="Make the images readable, or leave those out that nobody can read.",
        )


def _readable(lines: Iterator[Line], uri: S3Uri) -> Iterator[Line]:
    try:
        yield from lines
    except (OSError, EOFError, zlib.error, csv.Error, UnicodeDecodeError) as error:
        # gzip raises the first three on a file that is not gzipped, or breaks off.
        raise InvalidInputError(
            f"Manifest: {uri} cannot be read ({error!s}).", remedy="Write it again; a name in .gz is for gzipped files."
        ) from error


@dataclass(frozen=True, slots=True)
class JsonLines:
    """Reads JSON Lines: a key or an S3 URI of the image bucket, or an object with one as its `key`."""

    image_bucket: str

    def __call__(self, lines: ForeignLines) -> Iterator[Line]:
        """One Line for each line. Raises InvalidInputError naming the one that is wrong."""
        for text in lines:
            if not text.strip():
                yield None
                continue
            try:
                line = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise lines.problem("is not JSON") from error
            fields = {"key": line} if isinstance(line, str) else line
            if not isinstance(fields, dict) or not isinstance(fields.get("key"), str):
                raise lines.problem("names no key")
            lines.used += 1
            yield _line(lines, self._key(lines, fields), fields.get("size"), fields.get("etag"))

    def _key(self, lines: ForeignLines, fields: dict[str, Any]) -> str:
        key: str = fields["key"]
        bucket = fields.get("bucket", self.image_bucket)
        if key.startswith("s3://"):
            bucket, _, key = key.removeprefix("s3://").partition("/")
        _check_bucket(lines, bucket, self.image_bucket)
        return key


@dataclass(frozen=True, slots=True)
class InventoryCsv:
    """Reads a CSV file of an S3 Inventory, whose columns the inventory's manifest names.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
    """

    columns: tuple[str, ...]
    image_bucket: str

    def __call__(self, lines: ForeignLines) -> Iterator[Line]:
        """One Line for each row. Raises InvalidInputError naming the one that is wrong."""
        for row in csv.reader(line.decode() for line in lines):
            if len(row) != len(self.columns):
                raise lines.problem(f"has {len(row)} columns, not {len(self.columns)}")
            fields = dict(zip(self.columns, row, strict=True))
            lines.used += 1
            _check_bucket(lines, fields.get("Bucket", self.image_bucket), self.image_bucket)
            if fields.get("IsLatest", "true") != "true" or fields.get("IsDeleteMarker", "false") == "true":
                yield None
                continue
            size = fields.get("Size", "")
            line = _line(
                lines,
                urllib.parse.unquote_plus(fields["Key"]),
                (int(size) if size.isascii() and size.isdecimal() else size) if size else None,
                fields.get("ETag") or None,
            )
            refused = _refused(fields)
            if refused is None:
                yield line
            else:
                yield replace(ListedImage(line, 0, "") if isinstance(line, str) else line, refused=refused)


def _refused(fields: dict[str, str]) -> Refusal | None:
    """Why an object cannot be read, as far as the inventory has the columns that tell."""
    if fields.get("EncryptionStatus") == "SSE-C":
        message = "It is encrypted with a key of the customer's own (SSE-C): copy it with another encryption."
        return Refusal(FailureReason.UNREADABLE, message)
    return archived(fields.get("StorageClass", ""), fields.get("IntelligentTieringAccessTier", ""))


def _inventory_files(text: bytes, uri: S3Uri, *, image_bucket: str, buckets: tuple[str, ...]) -> list[ManifestFile]:
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
    try:
        inventory = json.loads(text)
        source, file_format = _text(inventory["sourceBucket"]), _text(inventory["fileFormat"])
        destination = _text(inventory["destinationBucket"]).removeprefix("arn:aws:s3:::")
        columns = tuple(name.strip() for name in _text(inventory["fileSchema"]).split(","))
        files = [(_text(entry["key"]), _size(entry.get("size", 0))) for entry in inventory["files"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInputError(
            f"Manifest: {uri} is not a manifest of S3 Inventory ({error!r:.300}).",
            remedy="Give the manifest.json that S3 Inventory wrote, or name a JSON Lines file otherwise.",
        ) from error
    if file_format != "CSV" or "Key" not in columns:
        raise InvalidInputError(
            f"Manifest: {uri} is an inventory of format {file_format:.20}.",
            remedy="Configure the inventory as CSV, or convert it: `stepvec inventory URI`.",
        )
    if source != image_bucket or destination not in buckets:
        raise InvalidInputError(
            f"Manifest: {uri} lists s3://{source:.63}/ and lies in s3://{destination:.63}/.",
            remedy=f"It must list s3://{image_bucket}/ and lie in one of {', '.join(buckets)}.",
        )
    if not files:
        raise InvalidInputError(f"Manifest: {uri} names no file.", remedy="Give an inventory of a bucket with objects.")
    for key, size in files:
        _check_size(S3Uri(destination, key), size, MAX_FILE_BYTES)
    reader = InventoryCsv(columns, image_bucket)
    return [ManifestFile(S3Uri(destination, key), reader) for key, _ in files]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} is not text")
    return value


def _size(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= OBJECT_BYTES:
        raise ValueError(f"{value!r:.80} is not the size of an object")
    return value


def _check_size(uri: S3Uri, size: int, most: int) -> None:
    if size > most:
        raise InvalidInputError(
            f"Manifest: {uri} has {size} bytes, over {most:,}.",
            remedy="Gzip it under a name in .gz, split it into several runs, or give an S3 Inventory.",
        )


def _check_bucket(lines: ForeignLines, bucket: Any, image_bucket: str) -> None:
    if bucket != image_bucket:
        raise lines.problem(f"is of another bucket ({bucket!r:.80}), and only s3://{image_bucket}/ can be read")


def _line(lines: ForeignLines, key: str, size: Any, etag: Any) -> ListedImage | str:
    """The object of a line, or its key alone where size or ETag is left out. Raises InvalidInputError."""
    if not is_key(key):
        raise lines.problem(f"has a key that is empty, over {KEY_BYTES} bytes or not Unicode")
    if etag is not None and not (isinstance(etag, str) and is_etag(etag.strip('"'))):
        raise lines.problem(f"has an ETag that S3 cannot have given ({etag!r:.80})")
    if size is not None:
        try:
            size = _size(size)
        except ValueError as error:
            raise lines.problem(f"has a size that is wrong: {error}") from error
    return key if size is None or etag is None else ListedImage(key, size, etag.strip('"'))
