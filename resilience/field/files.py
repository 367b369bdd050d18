"""Files: formats, damage, colours, orientation, sizes. Each goes through the worker's decoding and preprocessing."""

from __future__ import annotations

import base64
import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
import pylibjxl
from PIL import Image, ImageFilter, TiffImagePlugin
from stepvec_worker.images.decoding import DecodeLimits, decode

from resilience.corpus.encoders import encoded, jpeg_segment, png_chunk
from resilience.field.kind import EMBEDDED, Kind, decoded, jpeg, photo
from testkit.photos import ROOT

ORIENTATION: Final = 0x0112
GDAL_NODATA: Final = 42113
DNG_VERSION: Final = 50706
END_OF_IMAGE: Final = b"\xff\xd9"
HEIC: Final = ROOT / "tests" / "worker" / "data"
"""Made with x265, which the worker does not have: one picture, stored upright and stored turned."""


def kinds() -> Iterator[Kind]:
    """All kinds of files."""
    yield from damaged()
    yield from named_otherwise()
    yield from turned()
    yield from coloured()
    yield from measured()
    yield from of_other_formats()
    yield from of_odd_sizes()


def damaged() -> Iterator[Kind]:
    """Files that miss something, or have something else in its place."""
    whole = jpeg()
    third = len(whole) // 3
    png = encoded(photo(), "PNG")
    middle = len(png) // 2
    yield decoded("JPEG, the later two thirds are zeros", "ftarlao/check-media-integrity#7", "Truncated",
                  lambda: whole[:third] + bytes(len(whole) - third))  # fmt: skip
    yield decoded("JPEG, cut", "ultralytics/yolov5#916", "Truncated", lambda: whole[:third])
    yield decoded("JPEG, only its end marker is missing", "python-pillow/Pillow#4414", EMBEDDED, lambda: whole[:-2])
    yield decoded("JPEG, bytes behind its end marker", "tensorflow/datasets#2188", EMBEDDED,
                  lambda: whole + b"SEFH" + bytes(5000))  # fmt: skip
    yield decoded("JPEG, a few bytes more before its end marker", "tensorflow/models#2194", EMBEDDED,
                  lambda: whole[:-2] + bytes([0x11] * 5) + END_OF_IMAGE)  # fmt: skip
    yield decoded("PNG, one byte of the pixels is another", "SixLabors/ImageSharp#127", "Damaged",
                  lambda: png[:middle] + bytes([png[middle] ^ 0xFF]) + png[middle + 1 :])  # fmt: skip
    yield decoded("PNG, cut", "SixLabors/ImageSharp#2589", "Truncated", lambda: png[:middle])
    yield decoded("PNG, only its last chunk is missing", "opencv/opencv#23584", EMBEDDED, lambda: png[:-12])
    yield decoded("file of zeros of the right size", "tensorflow/tensorflow#45019", "NotAnImage", lambda: bytes(5000))
    yield decoded("file without a byte", "s3fs-fuse/s3fs-fuse#2167", "Empty", lambda: b"")


def named_otherwise() -> Iterator[Kind]:
    """Content that is another than the name says: the name is not asked."""
    yield decoded("PNG in a .jpg", "tensorflow/models#2194", EMBEDDED, lambda: encoded(photo(), "PNG"))
    yield decoded("GIF in a .jpg", "tensorflow/models#2194", EMBEDDED,
                  lambda: encoded(photo().quantize(256), "GIF"))  # fmt: skip
    yield decoded("JPEG in a .png", "Inrixia/Floatplane-Downloader#174", EMBEDDED, jpeg)
    yield decoded("HTML of an error page in a .jpg", "elementor/wp2static#199", "NotAnImage",
                  lambda: b"<!doctype html><title>404 Not Found</title>" + b"<p>Not here.</p>" * 40)  # fmt: skip
    yield decoded("text of an error in a .jpg", "tonquer/JMComic-qt#185", "NotAnImage", lambda: b"error code: 502")
    yield decoded("film in a .jpg", "lrsjng/h5ai#770", "Unsupported",
                  lambda: b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(2000))  # fmt: skip
    yield decoded("SVG in a .png", "python-pillow/Pillow#1146", "Unsupported",
                  lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>')  # fmt: skip
    yield decoded("Git LFS's pointer to a photo", "visit-dav/visit#18015", "NotAnImage",
                  lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")  # fmt: skip
    yield decoded("JPEG as text in base64", "aws/aws-sdk-js#1712", "NotAnImage", lambda: base64.b64encode(jpeg()))
    yield decoded("JPEG that was taken for text on its way", "boto/boto3#4229", "NotAnImage",
                  lambda: jpeg().decode("utf-8", "replace").encode())  # fmt: skip
    yield decoded("JPEG, stored in the chunks that it was sent in", "NVIDIA/aistore#263", "NotAnImage",
                  lambda: b"%x;chunk-signature=%s\r\n%s\r\n" % (len(jpeg()), b"0" * 64, jpeg()))  # fmt: skip
    yield decoded("DNG: its thumbnail is not the photo", "libvips/libvips#1416", "Unsupported",
                  lambda: encoded(photo(), "TIFF", tiffinfo={DNG_VERSION: (1, 4, 0, 0)}))  # fmt: skip
    yield decoded("JPEG, stored compressed by gzip", "localstack/localstack#8139", EMBEDDED,
                  lambda: gzip.compress(jpeg(), mtime=0))  # fmt: skip


def turned() -> Iterator[Kind]:
    """Pictures that are stored turned, and say so."""
    sideways = photo().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    yield decoded("JPEG of a phone held upright", "thumbor/thumbor#702", EMBEDDED, lambda: jpeg(sideways, exif=exif))
    yield decoded("PNG with an orientation", "jonaswinkler/paperless-ng#218", EMBEDDED,
                  lambda: encoded(sideways, "PNG", exif=exif))  # fmt: skip
    yield decoded("WebP with an orientation", "e621ng/e621ng#2454", EMBEDDED,
                  lambda: encoded(sideways, "WEBP", lossless=True, exif=exif))  # fmt: skip
    yield decoded("JPEG whose EXIF begins twice", "python-pillow/Pillow#8348", EMBEDDED,
                  lambda: with_exif(jpeg(), b"Exif\0\0Exif\0\0II*\0\x08\0\0\0\0\0"))  # fmt: skip
    yield decoded("JPEG whose EXIF breaks off", "python-pillow/Pillow#4215", EMBEDDED,
                  lambda: with_exif(jpeg(), b"Exif\0\0II*\0\x08\0\0\0\x20\0\x12\1"))  # fmt: skip
    yield decoded("JPEG with GPS of 0/0", "python-pillow/Pillow#8548", EMBEDDED, lambda: with_gps_of_nothing(sideways))
    yield decoded("JPEG with a second picture (MPO)", "python-pillow/Pillow#1138", EMBEDDED,
                  lambda: encoded(photo(), "MPO", save_all=True, append_images=[photo().resize((80, 60))]))  # fmt: skip


def coloured() -> Iterator[Kind]:
    """Modes and colours."""
    cmyk = photo().convert("CMYK")
    grey = photo().convert("L")
    yield decoded("JPEG in CMYK as Photoshop writes it", "Kozea/WeasyPrint#2179", EMBEDDED, lambda: jpeg(cmyk))
    yield decoded("JPEG in grey", "pytorch/vision#288", EMBEDDED, lambda: jpeg(grey), grey)
    yield decoded("PNG whose palette has transparent colours", "python-pillow/Pillow#6348", EMBEDDED,
                  with_transparent_palette, on_white_with_hole())  # fmt: skip
    yield decoded("animated GIF: its first frame", "libvips/libvips#1543", EMBEDDED, lambda: animated("GIF"))
    yield decoded("animated WebP: its first frame", "libsdl-org/SDL_image#521", EMBEDDED, lambda: animated("WEBP"))
    yield decoded("animated PNG: its first frame", "etemesi254/zune-image#185", EMBEDDED, lambda: animated("PNG"))


def measured() -> Iterator[Kind]:
    """Numbers that are no photos' 8 bits."""
    grey = photo().convert("L")
    values = np.asarray(grey).astype(np.float64)
    yield decoded("PNG of 16 bits", "python-pillow/Pillow#3011", EMBEDDED,
                  lambda: encoded(Image.fromarray((values * 257).astype(np.uint16)), "PNG"), grey)  # fmt: skip
    yield decoded("TIFF of 16 bits", "python-pillow/Pillow#1108", EMBEDDED,
                  lambda: encoded(Image.fromarray((values * 257).astype(np.uint16)), "TIFF"), grey)  # fmt: skip
    yield decoded("TIFF of 10 bits in 16", "python-pillow/Pillow#2610", EMBEDDED,
                  lambda: encoded(Image.fromarray((values * 4).astype(np.uint16)), "TIFF"), grey)  # fmt: skip
    yield decoded("GeoTIFF of floats with nodata -9999", "GeoTIFF/georaster#87", EMBEDDED, with_nodata, grey)
    yield decoded("GeoTIFF of floats with NaN", "GeoTIFF/georaster#24", EMBEDDED, lambda: with_hole(np.nan), grey)


def of_other_formats() -> Iterator[Kind]:
    """Formats that people have by the million, and forms of known ones."""
    yield decoded("AVIF", "cbenning/fussel#163", EMBEDDED, lambda: encoded(photo(), "AVIF", quality=90))
    yield decoded("HEIC of a phone held upright", "photoprism/photoprism#3705", EMBEDDED,
                  (HEIC / "turned.heic").read_bytes, upright_heic())  # fmt: skip
    yield decoded("JPEG XL", "nextcloud/photos#2644", EMBEDDED, lambda: bytes(pylibjxl.encode(np.asarray(photo()))))
    yield decoded("PNG as Xcode packs it (CgBI)", "opencv/opencv#27295", "Unsupported", as_xcode_packs_it)
    yield decoded("JPEG of 12 bits", "libjxl/libjxl#2685", "Unsupported", lambda: of_precision(12))


def of_odd_sizes() -> Iterator[Kind]:
    """Very large, very small, very long."""
    large = photo(1500, 1125).filter(ImageFilter.GaussianBlur(2))
    yield decoded("JPEG of 108 megapixels", "baserow/baserow#3013", EMBEDDED,
                  lambda: jpeg(large.resize((12000, 9000), Image.Resampling.NEAREST), quality=60), large)  # fmt: skip
    yield decoded("PNG of 400 megapixels in a few kilobytes", "sipherxyz/comfyui-art-venture#36", "TooLarge",
                  lambda: png_of_zeros(20_000, 20_000))  # fmt: skip
    red = Image.new("RGB", (1, 1), "red")
    yield decoded("PNG of one pixel", "huggingface/transformers#21638", EMBEDDED, lambda: encoded(red, "PNG"), red)
    line = photo(300, 1)
    yield decoded("PNG one pixel high", "huggingface/transformers#34029", EMBEDDED, lambda: encoded(line, "PNG"), line)
    strip = photo(4000, 20)
    yield decoded("panorama of 4000 x 20", "mpetroff/pannellum#596", EMBEDDED, lambda: jpeg(strip), strip)


def with_exif(data: bytes, exif: bytes) -> bytes:
    """A JPEG with another first segment."""
    return data[:2] + jpeg_segment(0xE1, exif) + data[2:]


def with_gps_of_nothing(sideways: Image.Image) -> bytes:
    """An orientation, and a position of 0/0 degrees."""
    # Orientation 6; GPS directory at 38 with GPSLatitude, three rationals of 0/0 at 56.
    directory = struct.pack("<HHHII", 2, ORIENTATION, 3, 1, 6) + struct.pack("<HHII", 0x8825, 4, 1, 38) + bytes(4)
    position = struct.pack("<HHHII", 1, 2, 5, 3, 56) + bytes(4) + bytes(24)
    return with_exif(jpeg(sideways), b"Exif\0\0" + b"II*\0\x08\0\0\0" + directory + position)


def with_transparent_palette() -> bytes:
    """A picture of 64 colours, the first of them transparent: its upper left corner."""
    picture = photo().quantize(64)
    indices = np.asarray(picture).copy()
    indices[indices == 0] = 1
    indices[:100, :100] = 0
    holed = Image.fromarray(indices, "P")
    holed.putpalette(picture.getpalette() or [])
    return encoded(holed, "PNG", transparency=bytes([0] + [255] * 63))


def on_white_with_hole() -> Image.Image:
    """What is seen of it over white."""
    seen = photo().copy()
    seen.paste((255, 255, 255), (0, 0, 100, 100))
    return seen


def animated(format_: str) -> bytes:
    """The photo, then the photo upside down."""
    frames = [photo(), photo().transpose(Image.Transpose.ROTATE_180)]
    if format_ == "GIF":
        frames = [frame.quantize(256) for frame in frames]
    return encoded(frames[0], format_, save_all=True, append_images=frames[1:], duration=100)


def with_hole(value: float, **options: object) -> bytes:
    """Heights between 0 and 1, and a corner that was not measured."""
    heights = (np.asarray(photo().convert("L")) / 255).astype(np.float32)
    heights[:20, :20] = value
    return encoded(Image.fromarray(heights), "TIFF", **options)


def with_nodata() -> bytes:
    """As GDAL marks it."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[GDAL_NODATA] = "-9999"
    return with_hole(-9999.0, tiffinfo=tags)


def upright_heic() -> Image.Image:
    """The picture in the HEIC files, from the one that needs no turning."""
    return decode((HEIC / "scene.heic").read_bytes(), DecodeLimits()).convert("RGB")


def as_xcode_packs_it() -> bytes:
    """BGRA, deflate without zlib's header, a chunk before the first."""
    swapped = np.asarray(photo().convert("RGBA"))[..., [2, 1, 0, 3]]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    rows = packer.compress(b"".join(b"\0" + row.tobytes() for row in swapped)) + packer.flush()
    header = struct.pack(">IIBBBBB", photo().width, photo().height, 8, 6, 0, 0, 0)
    chunks = (b"CgBI", b"\x50\0\x20\2"), (b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, body) for name, body in chunks)


def of_precision(bits: int) -> bytes:
    """A JPEG whose frame says that its samples have so many bits."""
    data = bytearray(jpeg())
    data[data.index(b"\xff\xc0") + 4] = bits
    return bytes(data)


def png_of_zeros(width: int, height: int) -> bytes:
    """One bit a pixel, all of them 0."""
    packer = zlib.compressobj(9)
    row = bytes(1 + width // 8)
    packed = b"".join(packer.compress(row * 100) for _ in range(height // 100)) + packer.flush()
    stream = io.BytesIO()
    stream.write(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)))
    stream.write(png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b""))
    return stream.getvalue()
