"""The one outcome that each image has: embedded, unchanged, or failed with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class FailureReason(StrEnum):
    """Why one image has no vector. A reason never fails a shard: the other images go on."""

    NOT_FOUND = "NotFound"
    """The object is gone."""
    ACCESS_DENIED = "AccessDenied"
    """The worker's role may not read the object (another owner, another key)."""
    ARCHIVED = "Archived"
    """The object lies in Glacier or Deep Archive and must be restored before it can be read."""
    UNREADABLE = "Unreadable"
    """S3 refuses this one object for another reason, which the message names (SSE-C, its KMS key is gone...)."""
    EMPTY = "Empty"
    """The object has no bytes."""
    NOT_AN_IMAGE = "NotAnImage"
    """No decoder knows the bytes. Where it is known what stands in the image's place (an error page, a Git LFS pointer,
    an upload stored as it was sent), the message says so."""
    UNSUPPORTED = "Unsupported"
    """An image in a form (compression, colour space) or format that no decoder here reads, or a film or document: the
    message names it."""
    TRUNCATED = "Truncated"
    """The data ends before the picture does, or filler (zeros, say) stands at its end instead.
    Bytes that a picture does not need may be missing: a JPEG's end marker, a PNG's last chunk."""
    DAMAGED = "Damaged"
    """The data goes on to its end and is wrong, or missing inside. As far as its format can tell: checksums, code words
    that do not exist, data that lasts longer or shorter than its picture. What is embedded all the same is in
    docs/reliability.md, "Damage"."""
    TOO_LARGE = "TooLarge"
    """More bytes or pixels than the worker takes."""
    CHANGED = "Changed"
    """The object was overwritten after it was listed; the next run embeds the new one, or has done so already."""
    DECODER_CRASHED = "DecoderCrashed"
    """The process that decoded the image died of it, twice: the second time it had nothing else in hand."""
    PROCESS_CRASHED = "ProcessCrashed"
    """The process that fetched, embedded or stored the image died of it, twice, as with DecoderCrashed."""
    TIMED_OUT = "TimedOut"
    """Decoding did not end in the time that an image gets, twice."""
    ID_CONFLICT = "IdConflict"
    """Two keys would share one image id; neither is embedded."""


MIN_SYSTEMATIC_REFUSALS: Final = 100
"""Where S3 refuses every one of so many images, it is hardly the images' fault: the work stops and says so."""

FAILURE_MESSAGE_CHARACTERS: Final = 300
"""A failure's message is cut here, so that a report's size is bounded by its number of lines."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an image cannot be read, where that is known without fetching it."""

    reason: FailureReason
    message: str


@dataclass(frozen=True, slots=True)
class ImageFailure:
    """One line of failures.jsonl: an image without a vector, and why."""

    key: str
    image_id: str
    reason: FailureReason
    message: str
    etag: str = ""
    """Of the object as it was listed; "" where nobody needs it."""
    failed_before: bool = False
    """Whether it is known from an earlier run, and was not fetched again."""

    def __post_init__(self) -> None:
        if len(self.message) > FAILURE_MESSAGE_CHARACTERS:
            object.__setattr__(self, "message", self.message[: FAILURE_MESSAGE_CHARACTERS - 1] + "…")
