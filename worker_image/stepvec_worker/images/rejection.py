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
    if data.startswith(_PNG):
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
        return "No decoder knows these bytes."
    if isinstance(error, UnidentifiedImageError):
        return "It begins like an image, but its header breaks off, is damaged, or is of a kind not read here."
    if str(error).startswith("decoder error"):
        return f"It is damaged inside, or compressed in a way not read here ({error})."
    return str(error) or type(error).__name__


JPEG_XL: Final = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
"""A bare codestream, and a container (ISO/IEC 18181-2)."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_SIGNATURES: Final = (
    b"\xff\xd8\xff",
    _PNG,
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"II\0*",
    b"MM*\0",
    b"II+\0",
    b"MM\0+",
    *JPEG_XL,
)


def has_known_signature(data: bytes) -> bool:
    """Whether `data` begins like an image of a format that is read here."""
    if foreign_format(data) is not None:
        return False
    # "BM" alone would make an image of any text that begins with it; a BMP's header length follows at byte 14.
    bitmap = data[:2] == b"BM" and data[14:18] in {n.to_bytes(4, "little") for n in (12, 16, 40, 52, 56, 64, 108, 124)}
    is_boxed = data[4:8] == b"ftyp" or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
    return data.startswith(_SIGNATURES) or bitmap or is_boxed


_READ: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"avif", b"avis"}
)
_HEIF: Final = frozenset(
    {
        b"mif2",
        b"mif3",
        b"miaf",
        b"1pic",
        b"jpeg",
        b"jpgs",
        b"j2ki",
        b"j2is",
        b"avci",
        b"avcs",
        b"vvic",
        b"vvis",
        b"evbi",
    }
)
"""Brands of ISO/IEC 23008-12, annex B, of those registered at https://mp4ra.org/registered-types/brands."""
_PREFIXES: Final = (
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"II\xbc\1", "JPEG XR"),
    (b"FUJIFILMCCD-RAW", "a Fujifilm raw file"),
    (b"IIU\0", "a Panasonic raw file"),
    (b"IIRO", "an Olympus raw file"),
    (b"IIRS", "an Olympus raw file"),
    (b"FOVb", "a Sigma raw file"),
    (b"\0\5\x16\7", "AppleDouble, what macOS keeps beside a file and not the file itself"),
    (b"\0\5\x16\0", "AppleSingle, a file wrapped by macOS"),
    (b"\x1a\x45\xdf\xa3", "a film (WebM or Matroska)"),
    (b"\0\0\1\xba", "a film (MPEG)"),
    (b"\0\0\1\xb3", "a film (MPEG)"),
    (b"FLV\1", "a film (Flash)"),
    (b"0&\xb2u\x8ef\xcf\x11", "a film (Windows Media)"),
    (b"OggS", "a film or sound (Ogg)"),
    (b"ID3", "a sound (MP3)"),
)
_RIFF: Final = {b"AVI ": "a film (AVI)", b"WAVE": "a sound (WAV)"}
_QUICKTIME: Final = frozenset({b"moov", b"mdat", b"wide", b"pnot"})
"""What a QuickTime film may begin with that has no ftyp box (QuickTime File Format, "Atoms")."""


def foreign_format(data: bytes) -> str | None:
    """What `data` is if its signature is that of a real format, but none that is read here."""
    if data[:8] == _PNG and data[12:16] == b"CgBI":
        return "a PNG that Xcode has changed for iPhones (CgBI), which no standard decoder reads"
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _of_brand(data)
    if data[4:8] in _QUICKTIME:
        return "a film (QuickTime)"
    return next((name for prefix, name in _PREFIXES if data.startswith(prefix)), None)


def _of_brand(data: bytes) -> str | None:
    """The format of an ISO base media file, by its first box (ISO/IEC 14496-12, 4.3); None if it is read here."""
    end = max(16, min(int.from_bytes(data[:4], "big"), 256))
    major, *others = [data[8:12], *(data[at : at + 4] for at in range(16, end, 4))]
    brands = {major, *others}
    if major in _READ:
        return None
    if major in (b"jp2 ", b"jpx "):
        return "JPEG 2000"
    if major == b"crx ":
        return "a Canon raw file"
    name = major.decode("ascii", "replace").strip()
    if brands & (_HEIF | _READ):
        return f"HEIF of a kind that is not read here (brand {name!r})"
    return f"a film (MP4 or QuickTime, brand {name!r})"
