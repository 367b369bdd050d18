"""Files that are not what their name says, or that are two things at once."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Iterator

from resilience.corpus.files import EMBEDDED, FORMATS, SUFFIX, HostileImage, encoded, hostile, jpeg_segment, scene

SCRIPT = b"alert(document.domain)"


def disguises() -> Iterator[HostileImage]:
    """All of them: milliseconds to make."""
    yield from _other_things()
    yield from _polyglots()


def _other_things() -> Iterator[HostileImage]:
    svg = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="%s"/>' % SCRIPT
    entity = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>'
    texts = {
        "svg.jpg": svg,
        "svg-entity.png": entity,
        "html.jpg": b"<html><script>%s</script></html>" % SCRIPT,
        "postscript.tif": b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) (r) file\n",
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
    yield hostile("pdf-before.jpg", b"%PDF-1.7\n" + body, "NotAnImage")
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
