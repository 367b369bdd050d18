"""The bytes of an object decoded to a picture, or the reason why not.

The bytes are untrusted: whatever they contain, the result is an image or ImageRejected, never another exception.
"""

from __future__ import annotations

import ctypes
import io
import logging
import re
import warnings
from dataclasses import dataclass
from typing import Final, NoReturn

from PIL import Image, ImageFile, UnidentifiedImageError, _imaging

from stepvec.runs.images import IMAGE_FORMATS
from stepvec.runs.outcome import FailureReason
from stepvec_worker.images.jpeg import RgbArray, decode_jpeg, jpeg_bomb, jpeg_scale

FORMATS: Final = IMAGE_FORMATS
"""The only decoders of Pillow that untrusted bytes reach. JPEG includes MPO, which many phones write."""

_LIBTIFF_HANDLERS: Final = ("TIFFSetErrorHandler", "TIFFSetWarningHandler")
"""https://libtiff.gitlab.io/libtiff/functions/TIFFError.html: NULL means that nothing is printed."""


def silence_libtiff() -> bool:
    """Tell the libtiff that Pillow links to print nothing; what Pillow raises stays the same.

    libtiff writes two lines for each odd tag to standard error, past Python's warnings and logging: a crafted file of
    48 KB makes 1.1 MB of log, so that whoever may upload images could fill the log, at its owner's cost.
    Returns False if libtiff is not found: Pillow was built without it, or links it statically.
    """
    # Symbols are looked up in the module and in what it links, which is the very copy of libtiff that it calls.
    library = ctypes.CDLL(_imaging.__file__)
    try:
        setters = [getattr(library, name) for name in _LIBTIFF_HANDLERS]
    except AttributeError:
        return False
    for setter in setters:
        setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
        setter(None)
    return True


# Pillow warns about odd metadata and about sizes that decode() judges itself: the log should not get a line per
# image. Set once here: warnings.catch_warnings is not thread-safe.
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
logging.getLogger("PIL").setLevel(logging.CRITICAL)

silence_libtiff()

# Pillow's default, restated because embedding half an image would look like a success.
ImageFile.LOAD_TRUNCATED_IMAGES = False


class ImageRejected(Exception):  # noqa: N818 - an outcome of one image, not an error of the worker
    """An image that gets no vector. Not a StepvecError: there is nothing to remedy, the shard goes on without it.

    `reason` goes into the run's failures; `message` tells a person what is wrong with this image.
    """

    def __init__(self, reason: FailureReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """The largest image that the worker takes: bytes of the object, pixels (width x height) of the picture.

    A decoded picture takes 4 bytes a pixel, and up to three copies of it exist at a time.
    """

    bytes: int = 64 * 1024 * 1024
    pixels: int = 100_000_000


@dataclass(frozen=True, slots=True)
class Decoded:
    """A first frame. `image` is loaded, unless `rgb`, (H, W, 3), is given: then it is only the parsed header."""

    image: Image.Image
    rgb: RgbArray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as decoded."""
        return self.image.size if self.rgb is None else (self.rgb.shape[1], self.rgb.shape[0])


def decode(data: bytes, limits: DecodeLimits, *, short_side: int | None = None) -> Image.Image:
    """The first frame of `data` decoded by Pillow, in whatever mode and orientation the file has it.

    With `short_side` a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as long as its short side keeps at least
    that many pixels: several times faster for photos from a camera. Raises ImageRejected, and nothing else.
    """
    return _decode(data, limits, short_side, is_fast=False).image


def decode_fast(data: bytes, limits: DecodeLimits, *, short_side: int | None = None) -> Decoded:
    """As `decode`, with the same pixels and the same refusals; most JPEGs are returned as `rgb`, and faster."""
    return _decode(data, limits, short_side, is_fast=True)


def _decode(data: bytes, limits: DecodeLimits, short_side: int | None, *, is_fast: bool) -> Decoded:
    if not data:
        raise ImageRejected(FailureReason.EMPTY, "The object has no bytes.")
    if len(data) > limits.bytes:
        raise ImageRejected(FailureReason.TOO_LARGE, f"{len(data):,} bytes; the worker takes {limits.bytes:,}.")
    bomb = jpeg_bomb(data)
    if bomb is not None:
        raise ImageRejected(FailureReason.TOO_LARGE, bomb)
    try:
        return _decode_checked(data, limits, short_side, is_fast=is_fast)
    except ImageRejected:
        raise
    except UnidentifiedImageError as error:
        reject(_error_of_opening(data) or error, data)
    except Exception as error:  # noqa: BLE001 - Pillow raises a dozen kinds on hostile bytes, all mean: no image
        reject(error, data)


def _error_of_opening(data: bytes) -> Exception | None:
    """The error of the decoder whose signature `data` has; Image.open() drops it and says "cannot identify"."""
    for name in FORMATS:
        open_image, accepts = Image.OPEN[name]
        if accepts is None or accepts(data[:16]) is not True:
            continue
        try:
            open_image(io.BytesIO(data), "")
        except Exception as error:  # noqa: BLE001 - as above
            return error
    return None


def reject(error: Exception, data: bytes) -> NoReturn:
    """Raise the ImageRejected that corresponds to `error`, which Pillow raised while reading `data`."""
    raise ImageRejected(_reason(error, data), _describe(error, data)) from error


def _decode_checked(data: bytes, limits: DecodeLimits, short_side: int | None, *, is_fast: bool) -> Decoded:
    # Some decoders (WebP) allocate the whole picture in open(), before the check below can see its size. Pillow's own
    # guard catches those: above this number it warns (silenced above), above twice this number it refuses.
    Image.MAX_IMAGE_PIXELS = limits.pixels
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    _check_size(image, limits)
    if image.format in ("JPEG", "MPO"):
        scale = jpeg_scale(image.size, short_side)
        rgb = decode_jpeg(data, image, scale) if is_fast else None
        if rgb is not None:
            return Decoded(image, rgb)
        if scale > 1:
            # draft() takes the largest power of two that leaves at least the size asked for.
            image.draft(None, (image.width // scale, image.height // scale))
    image.load()
    _check_size(image, limits)
    return Decoded(image)


def _check_size(image: Image.Image, limits: DecodeLimits) -> None:
    width, height = image.size
    if width * height > limits.pixels:
        raise ImageRejected(
            FailureReason.TOO_LARGE,
            f"{width} x {height} = {width * height:,} pixels; the worker takes {limits.pixels:,}.",
        )


def _describe(error: Exception, data: bytes) -> str:
    """`error` in words of use to a person: Pillow's name an object in memory if it cannot identify the bytes."""
    foreign = _foreign_format(data)
    if foreign is not None:
        return f"This is {foreign}, whatever its suffix says. Convert it to one of {', '.join(FORMATS)}."
    if _reason(error, data) is FailureReason.NOT_AN_IMAGE:
        return "No decoder knows these bytes."
    if isinstance(error, UnidentifiedImageError):
        return "It begins like an image, but its header breaks off, is damaged, or is of a kind not read here."
    if str(error).startswith("decoder error"):
        return f"It is damaged inside, or compressed in a way not read here ({error})."
    return str(error) or type(error).__name__


_UNSUPPORTED: Final = re.compile(
    r"unsupported|not supported|not (available|installed)|unknown (compression|pixel mode|data organi)"
    r"|cannot (handle|decode)|no decoder|conversion from",
    re.IGNORECASE,
)
"""What Pillow's OSError and ValueError say if the limit is the decoder's, not a fault of the file."""


def _reason(error: Exception, data: bytes) -> FailureReason:
    if isinstance(error, MemoryError | Image.DecompressionBombError):
        return FailureReason.TOO_LARGE
    if isinstance(error, NotImplementedError):
        return FailureReason.UNSUPPORTED
    if not _known_magic(data):
        return FailureReason.UNSUPPORTED if _foreign_format(data) else FailureReason.NOT_AN_IMAGE
    if isinstance(error, OSError | ValueError | KeyError | SyntaxError) and _UNSUPPORTED.search(str(error)):
        return FailureReason.UNSUPPORTED
    return FailureReason.TRUNCATED


_MAGIC: Final = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"II\0*",
    b"MM*\0",
    b"II+\0",
    b"MM\0+",
)


def _known_magic(data: bytes) -> bool:
    # "BM" alone would make an image of any text that begins with it; a BMP's header length follows at byte 14.
    bitmap = data[:2] == b"BM" and data[14:18] in {n.to_bytes(4, "little") for n in (12, 16, 40, 52, 56, 64, 108, 124)}
    return data.startswith(_MAGIC) or bitmap or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


_FOREIGN: Final = {
    b"ftypheic": "HEIC",
    b"ftypheix": "HEIC",
    b"ftypmif1": "HEIF",
    b"ftypmsf1": "HEIF",
    b"ftypavif": "AVIF",
    b"ftypcrx ": "a Canon raw file",
    b"jP  \r\n\x87\n": "JPEG 2000",
    b"JXL \r\n\x87\n": "JPEG XL",
}


def _foreign_format(data: bytes) -> str | None:
    """The name of the real image format, not read here, whose signature `data` has."""
    name = _FOREIGN.get(data[4:12])
    if data.startswith(b"8BPS"):
        name = "a Photoshop file"
    elif data.startswith(b"\xff\x0a"):
        name = "JPEG XL"
    return name
