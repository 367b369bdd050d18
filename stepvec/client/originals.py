"""Addresses of the objects of a bucket, which are good for a while and need no credentials."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Final

from stepvec.client.session import new_session
from stepvec.runs.images import IMAGE_SUFFIXES, suffix

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SECONDS: Final = 300
"""How long an address is good. One that temporary credentials have signed ends with these, if that is earlier."""
_UNKNOWN: Final = "application/octet-stream"


class Originals:
    """Presigned URLs of the objects of `bucket`, with the environment's credentials. Nothing is asked of S3 for them.

    Signed by version 4, whatever the region: version 2, botocore's default in the oldest regions, opens no object that
    is encrypted by KMS (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html).
    """

    def __init__(self, bucket: str) -> None:
        from botocore.config import Config

        self._s3: S3Client = new_session().client("s3", config=Config(signature_version="s3v4"))
        self._bucket = bucket

    def address(self, key: str) -> str:
        """The presigned URL of an object. S3 answers it as an image, whatever type it was stored with.

        So an object with an image's name that is a page opens as a broken image, and not as a page of the bucket's.
        """
        return self._s3.generate_presigned_url(
            "get_object",
            Params={"Bucket": self._bucket, "Key": key, "ResponseContentType": media_type(key)},
            ExpiresIn=SECONDS,
        )


def media_type(key: str) -> str:
    """What a key's suffix says of it, if it is an image's."""
    end = suffix(key)
    found = mimetypes.guess_type(f"x.{end}")[0] if end in IMAGE_SUFFIXES else None
    return found if found is not None and found.startswith("image/") else _UNKNOWN
