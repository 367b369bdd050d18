"""Small pictures of images by their keys, from folders of this machine or from the bucket."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from local_pipeline.photos import collect_photos
from stepvec.client.thumbnails import thumbnail
from stepvec.errors import StepvecError

MAX_BYTES: Final = 20_000_000
"""A file that is larger is not read."""
_THREADS: Final = 4

Reader = Callable[[str], bytes | None]
"""The bytes of an image, None where there is none that can be read."""


def from_folders(folders: Sequence[Path]) -> Reader:
    """Of photos on this machine, whose keys are those that `stepvec local run` gives them.

    A key that is none of these is the photo whose path ends most like it, if just one does.
    """
    photos = collect_photos(folders)
    by_end: dict[str, list[Path]] = {}
    for path in photos.values():
        by_end.setdefault(path.name, []).append(path)

    def read(key: str) -> bytes | None:
        path = photos.get(key) or _closest(key, by_end.get(key.rpartition("/")[2], []))
        return _bytes_of(path) if path else None

    return read


def from_bucket(client: Callable[[str], Any], bucket: str) -> Reader:
    """Of the objects of `bucket`. Those that S3 refuses have no picture."""
    s3 = client("s3")

    def read(key: str) -> bytes | None:
        try:
            answer = s3.get_object(Bucket=bucket, Key=key)
            return None if answer["ContentLength"] > MAX_BYTES else bytes(answer["Body"].read())
        except (ClientError, BotoCoreError):
            return None

    return read


def bucket_reader(bucket: str) -> Reader:
    """As from_bucket, with the environment's credentials; where there are none, no image has a picture."""
    from stepvec.client.session import new_client

    try:
        return from_bucket(new_client(), bucket)
    except StepvecError:
        return lambda _: None


def pictures(keys: Iterable[str], read: Reader) -> Mapping[str, str]:
    """data: URLs of JPEGs by key, of the images that can be seen. Each is decoded in a process of its own."""

    def picture(key: str) -> str:
        data = read(key)
        small = thumbnail(data) if data else None
        return "" if small is None else "data:image/jpeg;base64," + base64.b64encode(small).decode()

    wanted = list(dict.fromkeys(keys))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="picture") as pool:
        return {key: seen for key, seen in zip(wanted, pool.map(picture, wanted), strict=True) if seen}


def _closest(key: str, paths: Sequence[Path]) -> Path | None:
    """The one of `paths` that shares the most of its last parts with `key`; None where two do."""
    parts = key.split("/")[::-1]

    def shared(path: Path) -> int:
        pairs = zip(parts, path.parts[::-1], strict=False)
        return next((number for number, (one, other) in enumerate(pairs) if one != other), len(parts))

    ranked = sorted(paths, key=shared, reverse=True)
    if not ranked or (len(ranked) > 1 and shared(ranked[0]) == shared(ranked[1])):
        return None
    return ranked[0]


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
    except OSError:
        return None
