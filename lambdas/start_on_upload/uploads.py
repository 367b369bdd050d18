"""A batch of messages: which images were uploaded, and which messages cannot be read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from stepvec.errors import RecordError
from stepvec.limits import KEY_BYTES, OBJECT_BYTES
from stepvec.runs.images import ONLY_IMAGES, SuffixRule
from stepvec.runs.layout import S3Uri
from stepvec.runs.listing import ListedImage, is_etag

EVENT_SOURCE: Final = "aws.s3"
EVENT_TYPE: Final = "Object Created"
NAME_PREFIX: Final = "upload-"
NAME_DIGITS: Final = 40
_REMEDY: Final = "It is not an event of the image bucket: look at the message in the dead-letter queue."


@dataclass(frozen=True, slots=True)
class Upload:
    """One event: an object as uploaded. `sequencer` orders the uploads of one key."""

    image: ListedImage
    sequencer: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch of messages holds.

    images: each key once, as it was uploaded last, in the keys' order.
    name: the execution's name, the same for the same uploads whatever messages brought them.
    unread: ids and problems of the messages that cannot be read.
    ignored: uploads that are not images: other suffixes, folders, empty objects.
    """

    images: tuple[ListedImage, ...]
    name: str
    unread: dict[str, str]
    ignored: int


def read_batch(
    records: Iterable[Mapping[str, Any]],
    *,
    bucket: str,
    suffixes: SuffixRule = ONLY_IMAGES,
) -> Batch:
    """The uploads to `bucket` in the records of an SQS event, as far as `suffixes` takes them for images."""
    latest: dict[str, Upload] = {}
    unread: dict[str, str] = {}
    ignored = 0
    for record in records:
        try:
            upload = parse_upload(record["body"], bucket=bucket)
        except RecordError as error:
            unread[record["messageId"]] = error.message
            continue
        key = upload.image.key
        if suffixes.ignored_as(key, upload.image.size) or not upload.image.size:
            ignored += 1
        elif key not in latest or _is_later(upload.sequencer, latest[key].sequencer):
            latest[key] = upload
    uploads = [latest[key] for key in sorted(latest)]
    return Batch(tuple(upload.image for upload in uploads), _name(uploads), unread, ignored)


def parse_upload(body: str, *, bucket: str) -> Upload:
    """The upload described by EventBridge's event in `body`. Raises RecordError for anything else.

    Keys are as they are, not URL-encoded as in S3's own notifications.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """
    try:
        event = json.loads(body)
        kind = (event["source"], event["detail-type"], event["detail"]["bucket"]["name"])
        stored = event["detail"]["object"]
        key, size, etag = stored["key"], stored["size"], stored["etag"]
        sequencer = stored.get("sequencer", "")
        key_bytes = len(key.encode())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"The message is not an S3 event: {error!r}.", remedy=_REMEDY) from error
    if kind != (EVENT_SOURCE, EVENT_TYPE, bucket):
        raise RecordError(f"The message is about {kind!r}, not about uploads to {bucket}.", remedy=_REMEDY)
    texts = all(isinstance(value, str) for value in (key, etag, sequencer))
    is_object = texts and is_etag(etag.strip('"')) and type(size) is int and 0 <= size <= OBJECT_BYTES
    if not is_object or not 0 < key_bytes <= KEY_BYTES:
        raise RecordError(f"The message's object is {stored!r:.200}.", remedy=_REMEDY)
    return Upload(ListedImage(key, size, etag.strip('"')), sequencer)


def dump_manifest(images: Iterable[ListedImage], *, bucket: str) -> bytes:
    """A manifest that ListImages reads: JSON Lines, the same bytes for the same images."""
    return b"".join(map(_manifest_line, (replace(image, key=_named(image.key, bucket)) for image in images)))


def _manifest_line(image: ListedImage) -> bytes:
    line = {"key": image.key, "size": image.size, "etag": image.etag}
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _named(key: str, bucket: str) -> str:
    # A key that looks like a URI is written as one, or it would be read as one.
    return str(S3Uri(bucket, key)) if key.startswith("s3://") else key


def _is_later(one: str, other: str) -> bool:
    """Sequencers are hexadecimal; the shorter is padded on the right with zeros, as S3's documentation says.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    length = max(len(one), len(other))
    return one.lower().ljust(length, "0") > other.lower().ljust(length, "0")


def _name(uploads: Iterable[Upload]) -> str:
    digest = hashlib.sha256()
    for upload in uploads:
        line = json.dumps([upload.image.key, upload.image.etag, upload.sequencer])
        digest.update(line.encode() + b"\n")
    return f"{NAME_PREFIX}{digest.hexdigest()[:NAME_DIGITS]}"
