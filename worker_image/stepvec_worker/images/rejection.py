"""Why an image gets no vector: the exception, and its reason.

`rejection` gives the reason for a decoder's error: too large; not supported; not an image, by its signature; else
Truncated or Damaged. `truncated_or_damaged` is for pictures that a decoder gives and that are not whole (jpeg.py,
wholeness.py). How far each format can tell is written down in docs/reliability.md.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from PIL import Image, UnidentifiedImageError

from stepvec.runs.images import IMAGE_FORMATS
from stepvec.runs.outcome import FailureReason
from stepvec_worker.images.signatures import PNG, foreign_format, has_known_signature, what_stands_in_its_place


class ImageRejected(Exception):  # noqa: N818 - an outcome of one image, not an error of the worker
    """An image that gets no vector. Not a StepvecError: there is nothing to remedy, the shard goes on without it.

    `reason` goes into the run's failures; `message` tells a person what is wrong with this image.
    """

    def __init__(self, reason: FailureReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


FILLER_BYTES: Final = 64
"""So many equal bytes at a file's end are not compressed data."""


def ends_in_filler(data: bytes) -> bool:
    """Whether one byte value fills the end of `data`, before an end marker of two bytes or not."""
    return any(len(set(end)) == 1 for end in (data[-FILLER_BYTES:], data[-FILLER_BYTES - 2 : -2]))


def truncated_or_damaged(data: bytes, what: str, *, breaks_off: bool = False) -> ImageRejected:
    """The ImageRejected for a picture that is not whole, `what` says how it was seen.

    Truncated if it `breaks_off`, or if filler stands at its end; else Damaged: data is wrong, or missing inside.
    """
    if breaks_off or ends_in_filler(data):
        return ImageRejected(FailureReason.TRUNCATED, f"The picture breaks off. ({what})")
    return ImageRejected(FailureReason.DAMAGED, f"Its data is damaged. ({what})")


def rejection(error: Exception, data: bytes) -> ImageRejected:
    """The ImageRejected that corresponds to `error`, which a decoder raised while it read `data`."""
    reason = _reason(error, data)
    return ImageRejected(reason, _describe(error, data, reason))


def _reason(error: Exception, data: bytes) -> FailureReason:
    if isinstance(error, MemoryError | Image.DecompressionBombError):
        return FailureReason.TOO_LARGE
    if isinstance(error, NotImplementedError):
        return FailureReason.UNSUPPORTED
    if "too large" in str(error):  # a text or profile in a PNG, once unpacked
        return FailureReason.TOO_LARGE
    if not has_known_signature(data):
        return FailureReason.UNSUPPORTED if foreign_format(data) else FailureReason.NOT_AN_IMAGE
    if isinstance(error, OSError | ValueError | KeyError | SyntaxError) and _UNSUPPORTED.search(str(error)):
        return FailureReason.UNSUPPORTED
    if isinstance(error, EOFError | struct.error) or _ENDS_EARLY.search(str(error)) or _breaks_off(data):
        return FailureReason.TRUNCATED
    return FailureReason.DAMAGED


_UNSUPPORTED: Final = re.compile(
    r"unsupported|not supported|not (available|installed)|unknown (compression|pixel mode|data organi)"
    r"|cannot (handle|decode)|no decoder|conversion from",
    re.IGNORECASE,
)
"""What a decoder's OSError and ValueError say if the limit is the decoder's, not a fault of the file."""
_ENDS_EARLY: Final = re.compile(r"truncated|end of (file|data)|EOF|not (large )?enough|incomplete", re.IGNORECASE)


def _breaks_off(data: bytes) -> bool:
    """Whether `data`, which a decoder refused, is shorter than it says itself, or ends in filler."""
    if ends_in_filler(data):
        return True
    if data.startswith(b"\xff\xd8"):
        return not data.endswith(b"\xff\xd9")
    if data.startswith(b"RIFF"):
        return 8 + int.from_bytes(data[4:8], "little") > len(data)
    if data.startswith(b"BM"):
        return int.from_bytes(data[2:6], "little") > len(data)
    if data.startswith(PNG):
        return b"IEND" not in data[-64:]
    if data.startswith((b"II*\0", b"MM\0*")):
        order: str = "little" if data.startswith(b"II") else "big"
        return int.from_bytes(data[4:8], order) >= len(data)  # type: ignore[arg-type]
    if data[4:8] == b"ftyp":
        return last_box_ends(data) > len(data)
    if data.startswith(b"GIF8"):
        return not data.rstrip(b"\0").endswith(b";")
    return False


def last_box_ends(data: bytes) -> int:
    """Where the boxes of an ISO base media file end, by their lengths; what follows them is padding."""
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        if length < 8:  # 0: to the end of the file
            return len(data) if data[at + 4 : at + 8].isalnum() else at
        at += length
    return at


def _describe(error: Exception, data: bytes, reason: FailureReason) -> str:
    """`error` in words of use to a person: Pillow's name an object in memory if it cannot identify the bytes."""
    foreign = foreign_format(data)
    if foreign is not None:
        ours = f"{', '.join(IMAGE_FORMATS)}, HEIC or JPEG XL"
        return f"This is {foreign}, whatever its suffix says. Convert it to one of {ours}."
    if reason is FailureReason.NOT_AN_IMAGE:
        return what_stands_in_its_place(data) or "No decoder knows these bytes."
    if isinstance(error, UnidentifiedImageError):
        return "It begins like an image, but its header breaks off, is damaged, or is of a kind not read here."
    if str(error).startswith("decoder error"):
        return f"It is damaged inside, or compressed in a way not read here ({error})."
    return str(error) or type(error).__name__
