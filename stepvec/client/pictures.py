"""Small pictures of images by their keys, from wherever their bytes are read."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from stepvec.client.session import new_client
from stepvec.client.thumbnails import MEDIA_TYPE, Thumbnails
from stepvec.errors import StepvecError
from stepvec.pacing import batches

MAX_BYTES: Final = 20_000_000
"""A file that is larger is not read."""
PROCESSES: Final = 4
"""That make pictures side by side."""
_AT_A_TIME: Final = 256
"""Pictures that are made before the first of them is taken: memory is that of so many."""

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
    """data: URLs by key, of the images that can be seen. Each is decoded in a process beside this one."""
    wanted = list(dict.fromkeys(keys))
    seen = zip(wanted, thumbnails_of(wanted, read), strict=True)
    return {key: data_url(picture) for key, picture in seen if picture is not None}


def thumbnails_of(keys: Sequence[str], read: Reader) -> Iterator[bytes | None]:
    """A thumbnail for each of `keys`, in their order; None for an image of which nothing can be seen."""
    with Thumbnails(PROCESSES) as thumbnails, ThreadPoolExecutor(PROCESSES, thread_name_prefix="picture") as pool:

        def picture(key: str) -> bytes | None:
            data = read(key)
            return thumbnails.make(data) if data else None

        for some in batches(keys, _AT_A_TIME):
            yield from pool.map(picture, some)


def data_url(picture: bytes | None) -> str:
    """The data: URL of a thumbnail; "" where there is none."""
    return "" if picture is None else f"data:{MEDIA_TYPE};base64,{base64.b64encode(picture).decode()}"
