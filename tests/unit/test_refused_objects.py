"""A manifest names keys that S3 refuses: one costs itself, S3's trouble as a whole ends the listing. S3 is moto's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.loaders
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from moto import mock_aws

from lambdas.list_images.manifest import open_manifest
from stepvec.adapters.aws_errors import S3_ATTEMPT_CODES, S3_OBJECT_REMEDIES
from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import AccessDeniedError, StorageError
from stepvec.runs.layout import S3Uri
from stepvec.runs.listing import ListedImage
from stepvec.runs.outcome import MIN_SYSTEMATIC_REFUSALS
from stepvec.runs.steps import ListingCursor

SSE_C = (400, "InvalidRequest", "The object was stored using a form of Server Side Encryption.")
DENIED = (403, "AccessDenied", "Access Denied")


class Bucket:
    """Objects `0.jpg` and so on of moto's, of which some are refused as S3 does: HEAD with a status and no more."""

    def __init__(self) -> None:
        config = Config(retries={"mode": "standard", "total_max_attempts": 1})
        self.client = boto3.client("s3", region_name="us-east-1", config=config)
        self.client.create_bucket(Bucket="images")
        self.client.meta.events.register_first("before-send.s3", self._answer)
        self.refused: dict[str, tuple[int, str, str]] = {}

    def put(self, count: int) -> None:
        for number in range(count):
            self.client.put_object(Bucket="images", Key=f"{number}.jpg", Body=b"12345")

    def listed(self, names: list[str]) -> list[ListedImage]:
        lines = "\n".join(map(json.dumps, names))
        self.client.put_object(Bucket="images", Key="list.jsonl", Body=lines.encode())
        store, uri = ObjectStore(self.client), S3Uri("images", "list.jsonl")
        source = open_manifest(store, uri, image_bucket="images", buckets=("images",))
        cursor = ListingCursor()
        return [image for page in source.pages(cursor) for image in page.objects]

    def _answer(self, request: Any, **_: Any) -> Any:
        key = request.url.split("?")[0].rsplit("/", 1)[1]
        if key not in self.refused or request.method not in ("GET", "HEAD"):
            return None
        status, code, message = self.refused[key]
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        return AWSResponse(request.url, status, HTTPHeaders(), Raw(b"" if request.method == "HEAD" else body))


class Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with mock_aws():
        yield Bucket()


@pytest.mark.parametrize(
    "refusal",
    [SSE_C, DENIED, (400, "KMS.NotFoundException", "no such key"), (405, "MethodNotAllowed", ""), (418, "New", "")],
    ids=lambda refusal: str(refusal[1]),
)
def test_a_refused_object_goes_on_without_an_etag_and_the_others_with_theirs(
    bucket: Bucket, refusal: tuple[int, str, str]
) -> None:
    bucket.put(3)
    bucket.refused["1.jpg"] = refusal
    listed = bucket.listed(["0.jpg", "1.jpg", "2.jpg", "none.jpg"])
    assert [(image.key, image.size, bool(image.etag)) for image in listed] == [
        ("0.jpg", 5, True),
        ("1.jpg", 0, False),
        ("2.jpg", 5, True),
        ("none.jpg", 0, False),
    ]


@pytest.mark.parametrize(
    "refusal",
    [
        (400, "ExpiredToken", "The provided token has expired."),
        (403, "RequestTimeTooSkewed", ""),
        (403, "InvalidAccessKeyId", ""),
        (404, "NoSuchBucket", ""),
        (503, "SlowDown", ""),
        (500, "New", ""),
    ],
    ids=lambda refusal: str(refusal[1]),
)
def test_trouble_of_s3_as_a_whole_ends_the_listing(bucket: Bucket, refusal: tuple[int, str, str]) -> None:
    bucket.put(2)
    bucket.refused["1.jpg"] = refusal
    if refusal[1] == "NoSuchBucket":
        # To HEAD it is a bare 404, as that of an object: the listing of the prefix or the worker finds out.
        assert bucket.listed(["0.jpg", "1.jpg"])[1].etag == ""
        return
    with pytest.raises(StorageError, match=refusal[1]):
        bucket.listed(["0.jpg", "1.jpg"])


def test_where_every_object_is_refused_the_listing_stops_and_says_so(bucket: Bucket) -> None:
    names = [f"{number}.jpg" for number in range(MIN_SYSTEMATIC_REFUSALS)]
    bucket.refused = dict.fromkeys(names, SSE_C)
    with pytest.raises(StorageError, match=r"all of the 100 keys .*InvalidRequest"):
        bucket.listed(names)
    assert len(bucket.listed(names[1:])) == MIN_SYSTEMATIC_REFUSALS - 1
    bucket.refused = {"0.jpg": DENIED}
    with pytest.raises(AccessDeniedError, match="denied ListImages all"):
        bucket.listed(["0.jpg"])


def test_the_codes_are_decided_for_all_that_s3_documents() -> None:
    """botocore's model has S3's list: whoever upgrades it meets the new codes here, and decides."""
    model = botocore.loaders.Loader().load_service_model("s3", "service-2")
    text = model["shapes"]["Error"]["members"]["Code"]["documentation"]
    documented = {part.split("<")[0].strip() for part in text.split("<i>Code:</i> ")[1:]}
    assert len(documented) > 70
    assert S3_ATTEMPT_CODES & documented == {
        *("AccountProblem", "AuthorizationHeaderMalformed", "CredentialsNotSupported", "ExpiredToken"),
        *("IncompleteBody", "InternalError", "InvalidAccessKeyId", "InvalidAddressingHeader", "InvalidBucketName"),
        *("InvalidBucketState", "InvalidLocationConstraint", "InvalidSecurity", "InvalidToken"),
        *("MissingSecurityHeader", "NoSuchBucket", "NotImplemented", "NotSignedUp", "OperationAborted"),
        *("PermanentRedirect", "Redirect", "RequestTimeTooSkewed", "RequestTimeout", "ServiceUnavailable"),
        *("SignatureDoesNotMatch", "SlowDown", "TemporaryRedirect", "TokenRefreshRequired"),
    }
    assert not S3_ATTEMPT_CODES & set(S3_OBJECT_REMEDIES)
