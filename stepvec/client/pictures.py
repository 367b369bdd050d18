"""Small pictures of images by their keys, from wherever their bytes are read."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from stepvec.client.session import new_client
from stepvec.client.thumbnails import thumbnail
from stepvec.errors import StepvecError

MAX_BYTES: Final = 20_000_000
"""A file that is larger is not read."""
_THREADS: Final = 4

Reader = Callable[[str], bytes | None]
"""The bytes of an image, None where there is none that can be read."""


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
