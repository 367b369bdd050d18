"""Small pictures of images that may be anything: each is decoded in a process of its own, within limits.

    python -m stepvec.client.thumbnails < IMAGE > THUMBNAIL.jpg

An image that a decoder crashed on, or never ended with, must not do the same to a user's command.
"""

from __future__ import annotations

import io
import resource
import subprocess
import sys
from typing import Final

PIXELS: Final = 160
"""Width and height at most."""
SECONDS: Final = 10
_MEMORY_BYTES: Final = 2 * 1024**3


def thumbnail(data: bytes) -> bytes | None:
    """A JPEG of what can be seen of `data`, of a broken image also a part; None where nothing can."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "stepvec.client.thumbnails"],
            input=data,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 and done.stdout else None


def main() -> None:
    """Read an image from standard input, write its thumbnail to standard output; exit code 1 where there is none."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    from PIL import Image, ImageFile

    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with Image.open(io.BytesIO(sys.stdin.buffer.read())) as image:
            image.draft("RGB", (PIXELS * 2, PIXELS * 2))
            small = image.convert("RGB")
    except Exception:  # noqa: BLE001 - whatever a decoder raises on bytes that are no image
        sys.exit(1)
    small.thumbnail((PIXELS, PIXELS))
    small.save(sys.stdout.buffer, "JPEG", quality=75)


if __name__ == "__main__":
    main()
