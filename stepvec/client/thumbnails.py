"""Small pictures of images that may be anything: each is decoded within limits, in a process beside this one.

    python -m stepvec.client.thumbnails

An image that a decoder crashes on, or never ends with, must not do the same to a user's command: it costs the process,
which is replaced.
"""

from __future__ import annotations

import io
import os
import queue
import resource
import select
import struct
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Final, Self

PIXELS: Final = 256
"""Width and height at most."""
MEDIA_TYPE: Final = "image/webp"
NOTHING: Final = b64decode("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
"""A thumbnail of one transparent pixel, for where there must be one and nothing can be seen."""
_QUALITY: Final = 65
CPU_SECONDS: Final = 10
"""Of one image."""
ANSWER_SECONDS: Final = 60
"""On a busy machine."""
_MEMORY_BYTES: Final = 2 * 1024**3
_LENGTH: Final = struct.Struct(">I")
"""Before the bytes of an image, and before those of its picture; 0 for none."""
_LARGEST_ANSWER: Final = 1024 * 1024


class Thumbnails:
    """Makes thumbnails in up to `processes` processes, from as many threads. They end with the block."""

    def __init__(self, processes: int) -> None:
        self._idle: queue.Queue[_Decoder | None] = queue.LifoQueue()
        for _ in range(processes):
            self._idle.put(None)
        self._processes = processes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while not self._idle.empty():
            decoder = self._idle.get_nowait()
            if decoder is not None:
                decoder.end()

    def make(self, data: bytes) -> bytes | None:
        """A WebP of what can be seen of `data`, of a broken image also a part; None where nothing can."""
        decoder = self._idle.get()
        try:
            decoder = decoder or _Decoder()
            return decoder.picture(data)
        except (OSError, EOFError, TimeoutError):
            if decoder is not None:
                decoder.end()
            decoder = None
            return None
        finally:
            self._idle.put(decoder)


class _Decoder:
    """A process that is given one image after the other."""

    def __init__(self) -> None:
        asked, ask = os.pipe()
        tell, told = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stepvec.client.thumbnails"],
                stdin=asked,
                stdout=told,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is this process's; the decoder's input ends with it
            )
        finally:
            os.close(asked)
            os.close(told)
        self._ask = os.fdopen(ask, "wb")
        self._tell = tell
        self._told = select.poll()
        self._told.register(tell, select.POLLIN)

    def picture(self, data: bytes) -> bytes | None:
        """Raises OSError, EOFError or TimeoutError where the process has died of the image, or will not end."""
        self._ask.write(_LENGTH.pack(len(data)) + data)
        self._ask.flush()
        end = time.monotonic() + ANSWER_SECONDS
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, end))
        if length > _LARGEST_ANSWER:
            raise EOFError("no answer of ours")
        return self._read(length, end) or None

    def end(self) -> None:
        """Whatever it is doing."""
        self._process.kill()
        self._process.wait()
        os.close(self._tell)
        with suppress(BrokenPipeError):  # of what it has not read
            self._ask.close()

    def _read(self, count: int, end: float) -> bytes:
        read = b""
        while len(read) < count:
            if not self._told.poll(1000 * max(0.0, end - time.monotonic())):
                raise TimeoutError
            part = os.read(self._tell, count - len(read))
            if not part:
                raise EOFError
            read += part
        return read


def main() -> None:
    """Answer each image on standard input with its picture, until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    from PIL import ImageFile

    ImageFile.LOAD_TRUNCATED_IMAGES = True
    while header := _whole(sys.stdin.buffer, _LENGTH.size):
        data = _whole(sys.stdin.buffer, *_LENGTH.unpack(header))
        with _limited_time():
            picture = _picture(data)
        sys.stdout.buffer.write(_LENGTH.pack(len(picture)) + picture)
        sys.stdout.buffer.flush()


def _whole(stream: IO[bytes], count: int) -> bytes:
    read = stream.read(count)
    return read if len(read) == count else b""


@contextmanager
def _limited_time() -> Iterator[None]:
    """The CPU time of one image: the limit counts from the process's start."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(
        resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS, resource.RLIM_INFINITY)
    )
    yield


def _picture(data: bytes) -> bytes:
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (PIXELS * 2, PIXELS * 2))
            small: Image.Image = ImageOps.exif_transpose(image)
            if small.mode.startswith("I;16"):
                # Pillow clips 16 bits when it converts; the eye wants the upper 8.
                small = small.point(lambda value: value / 256).convert("L")
            small = small.convert("RGBA" if small.has_transparency_data else "RGB")
    except Exception:  # noqa: BLE001 - whatever a decoder raises on bytes that are no image
        return b""
    small.thumbnail((PIXELS, PIXELS))
    if small.mode == "RGBA":
        flat = Image.new("RGB", small.size, "white")
        flat.paste(small, mask=small.getchannel("A"))
        small = flat
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
