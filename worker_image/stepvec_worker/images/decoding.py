"""The bytes of an object decoded to a picture, or the reason why not.

The bytes are untrusted: whatever they contain, the result is an image or ImageRejected, never another exception.
"""

from __future__ import annotations

import ctypes
import io
import logging
import warnings
import zlib
from dataclasses import dataclass
from typing import Final

import pi_heif
from PIL import Image, ImageFile, JpegImagePlugin, UnidentifiedImageError, _imaging

from stepvec.runs.images import IMAGE_FORMATS, MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS
from stepvec.runs.outcome import FailureReason
from stepvec_worker.images.colours import SAID_WHITE
from stepvec_worker.images.jpeg import RgbArray, jpeg_scale, read_jpeg
from stepvec_worker.images.jpeg_structure import JpegStructure, read_structure
from stepvec_worker.images.rejection import ImageRejected, rejection
from stepvec_worker.images.signatures import JPEG_XL
from stepvec_worker.images.sixteen_bits import is_nearly_black, low_byte_tiles, said_white, spread
from stepvec_worker.images.wholeness import check_before_loading

FORMATS: Final = (*IMAGE_FORMATS, "HEIF")
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
# One image a thread: decoding threads are the worker's own.
pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)

# Pillow's default, restated because embedding half an image would look like a success.
ImageFile.LOAD_TRUNCATED_IMAGES = False


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """The largest image that the worker takes: bytes of the object, and pixels (width x height) of what is decoded.

    A decoded picture takes 4 bytes a pixel, and up to three copies of it exist at a time. A JPEG that is decoded at
    1/8 of its size counts a 64th of its pixels; one that comes in several scans counts its coefficients too, which
    libjpeg keeps at their full number, as many pixels as would take their memory.
    """

    bytes: int = MAX_IMAGE_BYTES
    pixels: int = MAX_IMAGE_PIXELS


BYTES_OF_PIXEL: Final = 12
"""Three copies of 4 bytes."""
BYTES_OF_COEFFICIENT: Final = 2
JPEG_XL_BYTES: Final = 12
"""What libjxl may keep of a pixel: three channels of 32 bits, where a file is progressive (measured otherwise: 7)."""


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
        raise ImageRejected(FailureReason.TOO_LARGE, f"{len(data):,} bytes; max_image_bytes is {limits.bytes:,}.")
    if data.startswith(GZIP):
        data = unpacked(data, limits.bytes)
    structure = read_structure(data)
    if structure is not None and structure.bomb:
        raise ImageRejected(FailureReason.TOO_LARGE, structure.bomb)
    try:
        if structure is not None:
            return _decode_jpeg(data, structure, limits, short_side, is_fast=is_fast)
        return Decoded(_decode_other(data, limits))
    except ImageRejected:
        raise
    except Image.DecompressionBombError as error:
        # From Pillow's own guard, at twice the limit: before a decoder allocates.
        message = f"More than twice as many pixels as may be; max_image_pixels is {limits.pixels:,}. ({error})"
        raise ImageRejected(FailureReason.TOO_LARGE, message) from error
    except UnidentifiedImageError as error:
        opening = _error_of_opening(data) or error
        raise rejection(opening, data) from opening
    except Exception as error:
        raise rejection(error, data) from error


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


def _decode_jpeg(
    data: bytes, structure: JpegStructure, limits: DecodeLimits, short_side: int | None, *, is_fast: bool
) -> Decoded:
    # Not Image.open(): its guard knows only the full size.
    image = JpegImagePlugin.jpeg_factory(io.BytesIO(data), "")
    scale = jpeg_scale(image.size, short_side)
    _check_size(image.size, limits, scale, 0 if structure.has_one_scan else _coefficient_bytes(image))
    reading = read_jpeg(data, image, structure, scale)
    if reading.rgb is not None and is_fast:
        return Decoded(image, reading.rgb)
    if reading.data is not data:
        image = JpegImagePlugin.jpeg_factory(io.BytesIO(reading.data), "")
    if scale > 1:
        # draft() takes the largest power of two that leaves at least the size asked for.
        image.draft(None, (image.width // scale, image.height // scale))
    image.load()
    return Decoded(image)


def _coefficient_bytes(image: JpegImagePlugin.JpegImageFile) -> int:
    """What libjpeg keeps of a JPEG of several scans, at whatever size it is decoded."""
    widest = max(horizontal for _, horizontal, _, _ in image.layer)
    tallest = max(vertical for _, _, vertical, _ in image.layer)
    samples = sum(horizontal * vertical for _, horizontal, vertical, _ in image.layer)
    return BYTES_OF_COEFFICIENT * image.width * image.height * samples // max(1, widest * tallest)


def _decode_other(data: bytes, limits: DecodeLimits) -> Image.Image:
    # Some decoders (WebP) allocate the whole picture in open(), before the check below can see its size. Pillow's own
    # guard catches those: above this number it warns (silenced above), above twice this number it refuses.
    Image.MAX_IMAGE_PIXELS = limits.pixels
    if data.startswith(JPEG_XL):
        return _decode_jpeg_xl(data, limits)
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    _check_size(image.size, limits)
    check_before_loading(image, data)
    low_bytes = low_byte_tiles(image)
    image.load()
    _check_size(image.size, limits)
    if low_bytes and is_nearly_black(image):
        low = Image.open(io.BytesIO(data), formats=FORMATS)
        low.tile = low_bytes
        low.load()
        spread(image, low, said_white(image, data))
    elif image.format == "PNG" and image.mode.startswith("I"):
        image.info[SAID_WHITE] = said_white(image, data)
    return image


def _decode_jpeg_xl(data: bytes, limits: DecodeLimits) -> Image.Image:
    """Upright, as libjxl gives it, as 8 bits a sample."""
    try:
        # Imported here: it is not there on ARM.
        import pylibjxl
    except ModuleNotFoundError as error:
        raise ImageRejected(
            FailureReason.UNSUPPORTED, "It is JPEG XL, for which the worker has no decoder on ARM."
        ) from error
    header = pylibjxl.probe(data)
    width, height = header["width"], header["height"]
    _check_size((width, height), limits, coefficient_bytes=JPEG_XL_BYTES * width * height)
    pixels = pylibjxl.decode(data)
    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _check_size(size: tuple[int, int], limits: DecodeLimits, scale: int = 1, coefficient_bytes: int = 0) -> None:
    width, height = size
    pixels = -(-width // scale) * -(-height // scale) + coefficient_bytes // BYTES_OF_PIXEL
    if pixels > limits.pixels:
        as_decoded = "" if pixels == width * height else f", as much memory as {pixels:,} as it has to be decoded"
        raise ImageRejected(
            FailureReason.TOO_LARGE,
            f"{width} x {height} = {width * height:,} pixels{as_decoded}; max_image_pixels is {limits.pixels:,}.",
        )


GZIP: Final = b"\x1f\x8b\x08"


def unpacked(data: bytes, limit: int) -> bytes:
    """What a gzip'd object (Content-Encoding: gzip) has in it, up to `limit` bytes. Raises ImageRejected."""
    packer = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        inside = packer.decompress(data, limit + 1)
    except zlib.error as error:
        raise ImageRejected(FailureReason.DAMAGED, f"It is compressed by gzip, and damaged ({error}).") from error
    if len(inside) > limit:
        raise ImageRejected(
            FailureReason.TOO_LARGE, f"More than max_image_bytes, {limit:,}, once gzip has unpacked it."
        )
    if not packer.eof:
        raise ImageRejected(FailureReason.TRUNCATED, "It is compressed by gzip, and breaks off.")
    if not inside:
        raise ImageRejected(FailureReason.EMPTY, "The object has no bytes once gzip has unpacked it.")
    return inside
