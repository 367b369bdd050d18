"""A manifest as the source of keys: JSON Lines, or an S3 Inventory."""

from __future__ import annotations

import csv
import io
import json
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import IO, Any, Final

from lambdas.list_images.sources import ImageSource, SourcePage
from stepvec.adapters.aws_errors import ACCESS_DENIED_CODES, error_code
from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import AccessDeniedError, InvalidInputError, ObjectRefusedError, StorageError
from stepvec.limits import KEY_BYTES, LAMBDA_DISK_BYTES, LIST_PAGE_KEYS
from stepvec.runs.layout import S3Uri, is_key
from stepvec.runs.listing import ListedImage
from stepvec.runs.outcome import MIN_SYSTEMATIC_REFUSALS
from stepvec.runs.steps import ListingCursor

HEAD_THREADS: Final = 32
"""HeadObject requests at a time, for manifest lines that give no ETag."""
MAX_FILE_BYTES: Final = LAMBDA_DISK_BYTES * 9 // 10
"""A file of keys is kept on the function's disk while it is read: some four million lines with sizes and ETags, or
twelve million gzipped."""
INVENTORY_SUFFIX: Final = "manifest.json"


def open_manifest(store: ObjectStore, uri: S3Uri, *, image_bucket: str, buckets: tuple[str, ...]) -> ImageSource:
    """The source that the manifest at `uri` describes. Raises InvalidInputError where it is none."""
    file = store.head(uri.bucket, uri.key)
    if file is None:
        raise InvalidInputError(f"Manifest: there is no {uri}.", remedy="Check the URI.")
    _check_size(uri, file.size)
    if not uri.key.endswith(INVENTORY_SUFFIX):
        return ManifestSource(store, image_bucket, [ManifestFile(uri, _json_lines)])
    with store.open(uri) as stream:
        return ManifestSource(
            store, image_bucket, _inventory_files(stream.read(), uri, image_bucket=image_bucket, buckets=buckets)
        )


Line = ListedImage | str
"""A line of a manifest: an object with size and ETag, or a key alone."""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file of keys, and how its lines are read."""

    uri: S3Uri
    lines: Callable[[IO[bytes], S3Uri], Iterator[Line]]


class ManifestSource:
    """The objects that some files name, in the files' order. A key without size and ETag is looked up in S3."""

    def __init__(self, store: ObjectStore, image_bucket: str, files: list[ManifestFile]) -> None:
        self._store = store
        self._bucket = image_bucket
        self._files = files

    def pages(self, cursor: ListingCursor) -> Iterator[SourcePage]:
        """As ImageSource.pages. Raises InvalidInputError for a file that is malformed, and for no key at all."""
        while cursor.source < len(self._files):
            file = self._files[cursor.source]
            done = int(cursor.after or 0)
            with self._store.open_text(file.uri) as stream:
                lines = islice(_readable(file.lines(stream, file.uri), file.uri), done, None)
                while chunk := list(islice(lines, LIST_PAGE_KEYS)):
                    done += len(chunk)
                    cursor = replace(cursor, after=str(done), found=cursor.found + len(chunk))
                    yield SourcePage(self._looked_up(chunk), cursor)
            cursor = replace(cursor, source=cursor.source + 1, after="")
            if cursor.source == len(self._files) and not cursor.found:
                raise InvalidInputError(f"Manifest: {file.uri} names no key.", remedy="Write one key a line.")
            yield SourcePage((), cursor)

    def _looked_up(self, lines: list[Line]) -> tuple[ListedImage, ...]:
        refusals: list[ObjectRefusedError] = []

        def look_up(key: str) -> ListedImage:
            # A key that does not exist, or is refused, goes on with an empty ETag: the worker reports why.
            try:
                return self._store.look_up(self._bucket, key) or ListedImage(key, 0, "")
            except ObjectRefusedError as error:
                refusals.append(error)
                return ListedImage(key, 0, "")

        keys = [line for line in lines if isinstance(line, str)]
        if not keys:
            return tuple(line for line in lines if not isinstance(line, str))
        with ThreadPoolExecutor(HEAD_THREADS, thread_name_prefix="head") as pool:
            found = list(pool.map(look_up, keys))
        _check_refusals(refusals, len(keys))
        looked_up = iter(found)
        return tuple(next(looked_up) if isinstance(line, str) else line for line in lines)


def _check_refusals(refusals: list[ObjectRefusedError], keys: int) -> None:
    """Raises a StorageError where S3 refused every one of `keys` keys: then it is hardly the objects' fault."""
    if not refusals or len(refusals) < keys:
        return
    is_denied = all(error_code(error.__cause__) in ACCESS_DENIED_CODES for error in refusals)
    if is_denied:
        raise AccessDeniedError(
            f"S3 denied ListImages all of the {keys} keys that it looked up. {refusals[0].message}",
            remedy="Allow its role s3:GetObject on the image bucket, and kms:Decrypt on its KMS key.",
        ) from refusals[0]
    if keys >= MIN_SYSTEMATIC_REFUSALS:
        raise StorageError(
            f"S3 refused all of the {keys} keys that ListImages looked up. {refusals[0].message}",
            remedy="Make the images readable, or leave those out that nobody can read.",
        ) from refusals[0]


def _readable(lines: Iterator[Line], uri: S3Uri) -> Iterator[Line]:
    try:
        yield from lines
    except (OSError, EOFError, zlib.error, csv.Error, UnicodeDecodeError) as error:
        # gzip raises the first three on a file that is none, or breaks off.
        raise InvalidInputError(
            f"Manifest: {uri} cannot be read ({error!s}).", remedy="Write it again; a name in .gz is for gzipped files."
        ) from error


def _json_lines(stream: IO[bytes], uri: S3Uri) -> Iterator[Line]:
    for number, text in enumerate(stream, 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _bad_line(uri, number, "is not JSON") from error
        fields = {"key": line} if isinstance(line, str) else line
        if not isinstance(fields, dict) or not isinstance(fields.get("key"), str):
            raise _bad_line(uri, number, "names no key")
        if not is_key(fields["key"]):
            raise _bad_line(uri, number, f"has a key that is empty, over {KEY_BYTES} bytes or no Unicode")
        yield _line(fields["key"], fields.get("size"), fields.get("etag"))


def _inventory_files(text: bytes, uri: S3Uri, *, image_bucket: str, buckets: tuple[str, ...]) -> list[ManifestFile]:
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
    try:
        inventory = json.loads(text)
        source, file_format = inventory["sourceBucket"], inventory["fileFormat"]
        destination = inventory["destinationBucket"].removeprefix("arn:aws:s3:::")
        columns = [name.strip() for name in inventory["fileSchema"].split(",")]
        files = [(_text(entry["key"]), int(entry.get("size", 0))) for entry in inventory["files"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInputError(
            f"Manifest: {uri} is not a manifest of S3 Inventory ({error!r}).",
            remedy="Give the manifest.json that S3 Inventory wrote, or name a JSON Lines file otherwise.",
        ) from error
    if file_format != "CSV" or "Key" not in columns:
        raise InvalidInputError(
            f"Manifest: {uri} is an inventory of format {file_format}.", remedy="Configure the inventory as CSV."
        )
    if source != image_bucket or destination not in buckets:
        raise InvalidInputError(
            f"Manifest: {uri} lists s3://{source}/ and lies in s3://{destination}/.",
            remedy=f"It must list s3://{image_bucket}/ and lie in one of {', '.join(buckets)}.",
        )
    for key, size in files:
        _check_size(S3Uri(destination, key), size)
    return [ManifestFile(S3Uri(destination, key), _inventory_reader(columns)) for key, _ in files]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} is no text")
    return value


def _check_size(uri: S3Uri, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise InvalidInputError(
            f"Manifest: {uri} has {size} bytes, over {MAX_FILE_BYTES:,}.",
            remedy="Gzip it under a name in .gz, split it into several runs, or give an S3 Inventory.",
        )


def _inventory_reader(columns: list[str]) -> Callable[[IO[bytes], S3Uri], Iterator[Line]]:
    def read(stream: IO[bytes], uri: S3Uri) -> Iterator[Line]:
        for number, row in enumerate(csv.reader(io.TextIOWrapper(stream, "utf-8", newline="")), 1):
            if len(row) != len(columns):
                raise _bad_line(uri, number, f"has {len(row)} columns, not {len(columns)}")
            fields: dict[str, Any] = dict(zip(columns, row, strict=True))
            if fields.get("IsLatest", "true") != "true" or fields.get("IsDeleteMarker", "false") == "true":
                continue
            key, size = urllib.parse.unquote_plus(fields["Key"]), fields.get("Size", "")
            if not is_key(key):
                raise _bad_line(uri, number, f"has a key that is empty or over {KEY_BYTES} bytes")
            yield _line(key, int(size) if size.isdecimal() else None, fields.get("ETag"))

    return read


def _line(key: str, size: Any, etag: Any) -> Line:
    if type(size) is int and size >= 0 and isinstance(etag, str) and etag:
        return ListedImage(key, size, etag.strip('"'))
    return key


def _bad_line(uri: S3Uri, number: int, problem: str) -> InvalidInputError:
    return InvalidInputError(
        f"Manifest: line {number} of {uri} {problem}.",
        remedy='Write one JSON string or object a line: "images/1.jpg" or {"key": "images/1.jpg"}.',
    )
