"""A short cut for ListObjectsV2 answers: their Contents are read here, the rest by botocore.

botocore parses each of the 1,000 entries of a page by its model, the LastModified by dateutil: with that ListImages
took 84.5 microseconds of CPU a key, without it 28 (docs/performance.md). Only key, size, ETag and what tells an
archived object are wanted.
"""

from __future__ import annotations

from typing import Any, Final
from xml.etree import ElementTree

from stepvec.runs.listing import ARCHIVE_CLASSES

_OK: Final = 200
_EVENT: Final = "before-parse.s3.ListObjectsV2"


def shorten_listing_answers(client: Any) -> None:
    """Make `client` give ListObjectsV2 entries of just what ObjectStore reads. Harmless if repeated.

    A botocore without this event answers as ever, only slower.
    """
    # First, so that botocore's own look for an error in the body finds a short one.
    client.meta.events.register_first(_EVENT, _take_contents, unique_id="stepvec-listing-answer")


def _take_contents(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Move the Contents of the answer out of its body, in the form that botocore would give them in.

    Keys stay URL-encoded: botocore decodes them afterwards, knowing whether they are.
    """
    if response_dict["status_code"] != _OK:
        return
    try:
        # Of S3, over TLS: botocore's own parser reads the same bytes in the same way.
        root = ElementTree.fromstring(response_dict["body"])  # noqa: S314
    except ElementTree.ParseError:
        # A truncated answer: botocore reports and retries it.
        return
    namespace = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    tag, key, size, etag, storage, restore, progress = (
        f"{namespace}{name}"
        for name in ("Contents", "Key", "Size", "ETag", "StorageClass", "RestoreStatus", "IsRestoreInProgress")
    )
    entries: list[dict[str, Any]] = [
        {
            "Key": entry.findtext(key, ""),
            "Size": int(entry.findtext(size, "")),
            "ETag": entry.findtext(etag, ""),
            "StorageClass": entry.findtext(storage, ""),
        }
        for entry in root.iterfind(tag)
    ]
    for entry, found in zip(entries, root.iterfind(tag), strict=True):
        if entry["StorageClass"] in ARCHIVE_CLASSES and (status := found.find(restore)) is not None:
            entry["RestoreStatus"] = {"IsRestoreInProgress": status.findtext(progress) == "true"}
    if entries:
        customized_response_dict["Contents"] = entries
        root[:] = [element for element in root if element.tag != tag]
        response_dict["body"] = ElementTree.tostring(root)
