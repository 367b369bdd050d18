"""Files that are not what their name says, files that are two things at once, and keys that pose as something else.

To S3 a path, a shell word, a query and a line break are all just keys.
"""

from __future__ import annotations

import gzip
import io
import struct
import unicodedata
import zipfile
from collections.abc import Iterator
from typing import Final

from resilience.corpus.encoders import EMBEDDED, FORMATS, SUFFIX, HostileImage, encoded, hostile, jpeg_segment, scene
from stepvec.limits import KEY_BYTES

SCRIPT: Final = b"alert(document.domain)"
_LONG: Final = "日" * 400

HOSTILE_KEYS: Final = (
    "names/new\nline.jpg",
    "names/carriage\rreturn.jpg",
    "names/quote'\"`.jpg",
    "names/back\\slash\\..\\..\\x.jpg",
    "names/../../etc/passwd.jpg",
    "../outside.jpg",
    "/leading.jpg",
    "//two.jpg",
    "names//double//slash.jpg",
    "names/./dot.jpg",
    f"names/{_LONG[: (KEY_BYTES - 10) // 3]}.jpg",
    "names/Case.jpg",
    "names/case.jpg",
    f"names/{unicodedata.normalize('NFC', 'é')}.jpg",
    f"names/{unicodedata.normalize('NFD', 'é')}.jpg",
    "names/$(touch stepvec-was-here).jpg",
    "names/`touch stepvec-was-here`.jpg",
    "names/; touch stepvec-was-here ;.jpg",
    "names/| tee &.jpg",
    "names/-rf.jpg",
    "names/--help.jpg",
    "names/'; DROP TABLE vectors; --.jpg",
    "names/%s%n%d{0}{key!r}${KEY}.jpg",
    "names/{{7*7}}{% raw %}.jpg",
    "names/<script>alert(1)</script>.jpg",
    "names/</script><img src=x onerror=alert(1)>.jpg",
    "names/[bold red]markup[/].jpg",
    "names/\x1b[31mescape\x1b[0m.jpg",
    "names/right-to-left-\u202egpj.exe.jpg",
    "names/zero\u200bwidth\ufeff.jpg",
    "names/line\u2028separator.jpg",
    "names/next\x85line.jpg",
    "names/emoji-😀.jpg",
    "names/a=b&c=d?e#f+g%20%2e%2e%2f.jpg",
    "names/con.jpg",
    "names/ leading and trailing .jpg",
    "names/=cmd|' /C calc'!A0.jpg",
    "names/tab\there.jpg",
)
"""Each is the key of a JPEG, and gets a row of its own."""


def disguises() -> Iterator[HostileImage]:
    """All of them: milliseconds to make."""
    yield from _other_things()
    yield from _polyglots()


def _other_things() -> Iterator[HostileImage]:
    svg = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="%s"/>' % SCRIPT
    entity = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>'
    for name, data in {
        "svg.jpg": svg,
        "svg-entity.png": entity,
        "postscript.tif": b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) (r) file\n",
    }.items():
        yield hostile(name, data, "Unsupported")
    texts = {
        "html.jpg": b"<html><script>%s</script></html>" % SCRIPT,
        "magick.gif": b"push graphic-context\nfill 'url(https://127.0.0.1/;\"|touch was-here)'\npop graphic-context\n",
        "program.png": b"\x7fELF\2\1\1" + bytes(57),
        "shell.jpg": b"#!/bin/sh\ntouch stepvec-was-here\n",
        "pickle.jpg": b"\x80\x04cos\nsystem\n(S'touch stepvec-was-here'\ntR.",
        "packed.gif": gzip.compress(bytes(1 << 20), mtime=0),
        "zip-bomb.png": _zip_bomb(),
        "one-byte.jpg": b"\xff",
        "zeros.png": bytes(4096),
    }
    for name, data in texts.items():
        yield hostile(name, data, "NotAnImage")
    yield hostile("empty.webp", b"", "Empty")
    for format_ in FORMATS:
        magic = encoded(scene(), format_)[:8]
        yield hostile(f"signature-only.{SUFFIX[format_]}", magic, "Truncated", "NotAnImage")
    for number, format_ in enumerate(FORMATS):
        other = SUFFIX[FORMATS[number - 1]]
        yield hostile(f"{format_.lower()}-named.{other}", encoded(scene(), format_), EMBEDDED)


def _polyglots() -> Iterator[HostileImage]:
    body = encoded(scene(), "JPEG")
    yield hostile("zip-behind.jpg", body + _zip_bomb(), EMBEDDED)
    yield hostile("pdf-inside.jpg", body[:2] + jpeg_segment(0xFE, b"%PDF-1.7\n" + SCRIPT) + body[2:], EMBEDDED)
    yield hostile("pdf-before.jpg", b"%PDF-1.7\n" + body, "Unsupported")
    # A GIF of 10,799 ("/*") by 1 pixels that a browser runs as a script.
    script = struct.pack("<6sHHBBB", b"GIF89a", 0x2A2F, 1, 0, 0, 0) + b"*/=1;" + SCRIPT
    yield hostile("script.gif", script, "Truncated")
    yield hostile("html-behind.png", encoded(scene(), "PNG") + b"<script>%s</script>" % SCRIPT, EMBEDDED)
    yield hostile("two-in-one.jpg", body + encoded(scene(), "PNG"), EMBEDDED)


def _zip_bomb() -> bytes:
    inner = _zipped("0.bin", bytes(10 << 20))
    for level in range(3):
        inner = _zipped(f"{level}.zip", inner * 1)
    return inner


def _zipped(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(zipfile.ZipInfo(f"{number}-{name}"), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def hostile_keys() -> tuple[str, ...]:
    """HOSTILE_KEYS, and one that uses all the bytes that a key may have."""
    prefix, suffix = "names/", ".jpg"
    room = KEY_BYTES - len(prefix) - len(suffix)
    return (*HOSTILE_KEYS, prefix + "é" * (room // 2) + suffix)
