"""What bytes are by how they begin: an image that is read here, another format, or something that came in its place.

Signatures are those of file(1) (https://github.com/file/file/tree/master/magic/Magdir) where no other source is named.
"""

from __future__ import annotations

import re
from typing import Final

JPEG_XL: Final = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
"""A bare codestream, and a container (ISO/IEC 18181-2)."""
PNG: Final = b"\x89PNG\r\n\x1a\n"
_SIGNATURES: Final = (
    b"\xff\xd8\xff",
    PNG,
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
    (b"gimp xcf ", "a GIMP file"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"II\xbc\1", "JPEG XR"),
    (b"FUJIFILMCCD-RAW", "a Fujifilm raw file"),
    (b"IIU\0", "a Panasonic raw file"),
    (b"IIRO", "an Olympus raw file"),
    (b"IIRS", "an Olympus raw file"),
    (b"FOVb", "a Sigma raw file"),
    (b"\0MRM", "a Minolta raw file"),
    (b"\0\0\1\0", "an icon (ICO)"),
    (b"icns", "an icon (ICNS)"),
    (b"qoif", "QOI"),
    (b"DDS ", "a texture (DDS)"),
    (b"\xabKTX ", "a texture (KTX)"),
    (b"v/1\1", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"#?RGBE", "Radiance HDR"),
    (b"SIMPLE  =", "FITS"),
    (b"\1\xda\0", "an SGI image"),
    (b"\1\xda\1", "an SGI image"),
    (b"FLIF", "FLIF"),
    (b"BPG\xfb", "BPG"),
    (b"AT&TFORM", "DjVu"),
    (b"\x8aMNG\r\n\x1a\n", "MNG"),
    (b"\x8bJNG\r\n\x1a\n", "JNG"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile (WMF)"),
    (b"%PDF-", "a PDF"),
    (b"%!PS", "PostScript"),
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
_PATTERNS: Final = (
    (re.compile(rb"P[1-7]\s+([#\d]|WIDTH)"), "a Netpbm image (PBM, PGM, PPM or PAM)"),
    (re.compile(rb"P[Ff]\s+\d+\s"), "a Netpbm image of floats (PFM)"),
    (re.compile(rb"\x0a[\x00\x02-\x05]\x01[\x01\x02\x04\x08]"), "PCX"),
    (re.compile(rb"(?s).{128}DICM"), "DICOM"),
    (re.compile(rb"(?s)\x01\x00\x00\x00.{36} EMF"), "a Windows metafile (EMF)"),
    (re.compile(rb"(?s)(\xef\xbb\xbf)?\s{0,64}<([?!].{0,3000}?<)?svg[\s>]"), "SVG"),
)
"""Where a prefix alone would take other bytes for the format."""
_RIFF: Final = {b"AVI ": "a film (AVI)", b"WAVE": "a sound (WAV)"}
_QUICKTIME: Final = frozenset({b"moov", b"mdat", b"wide", b"pnot"})
"""What a QuickTime film may begin with that has no ftyp box (QuickTime File Format, "Atoms")."""


_LOOKED_AT: Final = 4096
"""Bytes at the beginning in which a pattern is looked for."""
_UPLOAD_AGAIN: Final = "Upload the image again, as bytes."
_IN_ITS_PLACE: Final = (
    (
        re.compile(rb"version https://git-lfs\.github\.com/spec/"),
        "This is Git LFS's pointer to an image, not the image. Run `git lfs pull` before uploading.",
    ),
    (
        re.compile(rb"(?is)(\xef\xbb\xbf)?\s*(<!--.{0,1000})?<(!doctype html|html|head|body)[\s>]"),
        "This is an HTML page, perhaps of an error that came in the image's place. Fetch the image again.",
    ),
    (
        re.compile(rb"(?s)(\xef\xbb\xbf)?\s*(<\?xml.{0,1000})?<Error>"),
        "This is an error message in XML, as S3 sends it, that was stored in the image's place. Fetch the image again.",
    ),
    (re.compile(rb"(\xef\xbb\xbf)?\s*<\?xml"), "This is XML, no image."),
    (re.compile(rb'(\xef\xbb\xbf)?\s*(\{\s*"|\[\s*[\[{"\d])'), "This is JSON, no image."),
    (re.compile(rb"data:image/"), "This is a data: URL. Decode it before uploading."),
    (
        re.compile(rb"(/9j/|iVBORw0KGgo|R0lGOD[dl]h|UklGR)[A-Za-z0-9+/\s]{40}"),
        "This is an image as text in base64. Decode it before uploading.",
    ),
    (
        re.compile(rb"(?i)[0-9a-f]+(;chunk-signature=[0-9a-f]{64})?\r\n(\xff\xd8\xff|\x89PNG|GIF8|RIFF)"),
        f"This is an upload in chunks (aws-chunked) that was stored as it was sent. {_UPLOAD_AGAIN}",
    ),
    (
        re.compile(rb"(?i)--[^\r\n]{1,70}\r?\nContent-Disposition:"),
        f"This is a whole form (multipart/form-data) that was stored as it was sent. {_UPLOAD_AGAIN}",
    ),
    (
        re.compile(
            rb"(?s)\xc3\xbf\xc3\x98\xc3\xbf|(\xef\xbf\xbd){3}|\xc2\x89PNG|\xef\xbf\xbdPNG|RIFF.{0,12}\xef\xbf\xbd"
        ),
        f"This is an image that was taken for text and encoded as UTF-8 on its way. {_UPLOAD_AGAIN}",
    ),
    (
        re.compile(rb"\x89PNG(\n\x1a\n|\r\n\x1a\r\n|\r\r\n\x1a\r\n|\r\x1a\r)|\x09PNG"),
        f"This is a PNG whose line endings were changed, as for text, on its way. {_UPLOAD_AGAIN}",
    ),
    (
        re.compile(rb"(?s)(\xef\xbb\xbf|[\s\x00]){1,64}(\xff\xd8\xff|\x89PNG\r|GIF8[79]a)"),
        f"Spaces, line ends or a byte order mark stand before the image, which no reader passes over. {_UPLOAD_AGAIN}",
    ),
    (
        re.compile(rb"PK\x03\x04|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c|(?s:.{257})ustar"),
        "This is an archive. Unpack it before uploading.",
    ),
    (
        re.compile(rb"BZh[1-9]1AY|\xfd7zXZ\x00|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18"),
        "This is compressed (bzip2, xz, zstd or lz4; only gzip is unpacked here). Unpack it before uploading.",
    ),
)
"""What is stored under images' names instead of images, each with what to do."""


def what_stands_in_its_place(data: bytes) -> str | None:
    """A sentence for a person on bytes that are no image, and what to do; None where nothing is known of them."""
    if not data.strip(b"\0"):
        return "All its bytes are zero: a copy or an upload of it was not finished. Upload the image again."
    return next((text for pattern, text in _IN_ITS_PLACE if pattern.match(data, 0, _LOOKED_AT)), None)


def foreign_format(data: bytes) -> str | None:
    """What `data` is if its signature is that of a real format, but none that is read here."""
    if data[:8] == PNG and data[12:16] == b"CgBI":
        return "a PNG that Xcode has changed for iPhones (CgBI), which no standard decoder reads"
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _of_brand(data)
    if data[4:8] in _QUICKTIME:
        return "a film (QuickTime)"
    name = next((name for prefix, name in _PREFIXES if data.startswith(prefix)), None)
    return name or next((name for pattern, name in _PATTERNS if pattern.match(data, 0, _LOOKED_AT)), None)


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
