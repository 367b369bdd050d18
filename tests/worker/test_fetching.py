"""Reading objects: by obstore where it can, and with boto3's answer for everything else."""

from __future__ import annotations

import io
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, IncompleteReadError
from stepvec_worker.images import fast_get
from stepvec_worker.images.fast_get import FastReader, fast_reader
from stepvec_worker.images.fetching import FetchedImage, ImageFetcher
from stepvec_worker.images.rejection import ImageRejected

from stepvec.adapters import beside_boto3
from stepvec.adapters.aws_errors import BODY_ATTEMPTS
from stepvec.errors import AccessDeniedError, StorageError
from stepvec.runs.listing import ShardImage
from stepvec.runs.outcome import FailureReason
from tests.worker import scripted_s3 as s3
from tests.worker.scripted_s3 import BODY, ETAG, Answer, ScriptedS3
from tests.worker.scripted_server import use_server

BUCKET = "images"
MAX_BYTES = 10**6
MODIFIED = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedS3]:
    with s3.scripted_s3() as server:
        use_server(monkeypatch, server)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        yield server


def client() -> Any:
    # Fewer and shorter tries than the worker's: what a test waits for is scripted.
    config = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=2, read_timeout=1)
    return boto3.client("s3", config=config)


def reader(s3_client: Any) -> FastReader:
    fast = fast_reader(s3_client, BUCKET, timeout_seconds=1)
    assert fast is not None
    return fast


def fetcher(**changes: Any) -> ImageFetcher:
    s3_client = client()
    arguments = {"max_bytes": MAX_BYTES, "fast": reader(s3_client), "sleep": lambda seconds: None, **changes}
    return ImageFetcher(s3_client, BUCKET, **arguments)


def image(key: str = "a.jpg") -> ShardImage:
    return ShardImage(key, 10, ETAG, key)


def test_an_object_is_read_by_the_fast_client_with_its_date(server: ScriptedS3) -> None:
    assert fetcher().fetch(image()) == FetchedImage(BODY, MODIFIED)

    assert server.agents() == ["object_store"]
    head = server.requests[0].lower()
    assert server.targets == ["/images/a.jpg"]
    assert f'if-match: "{ETAG}"' in head
    assert "x-amz-security-token: token" in head
    assert "credential=akid/" in head
    assert "/eu-central-1/s3/aws4_request" in head


@pytest.mark.parametrize("answer", [s3.error(503, "SlowDown"), s3.error(500, "InternalError"), s3.reset, s3.truncated])
def test_what_passes_is_tried_again(server: ScriptedS3, answer: Answer) -> None:
    server.answers["/images/a.jpg"] = [answer, s3.good]

    assert fetcher().fetch(image()) == FetchedImage(BODY, MODIFIED)
    assert len(server.requests) > 1


@pytest.mark.parametrize("answer", [s3.reset, s3.truncated, s3.silent])
def test_a_body_that_breaks_off_again_and_again_is_never_taken_for_whole(server: ScriptedS3, answer: Answer) -> None:
    server.answers["/images/a.jpg"] = [answer] * 5 + [s3.good]

    assert fetcher().fetch(image()) == FetchedImage(BODY, MODIFIED)


def test_a_body_that_never_comes_whole_fails_the_shard(server: ScriptedS3) -> None:
    server.answers["/images/a.jpg"] = [s3.truncated]

    with pytest.raises(StorageError, match=r"images/a\.jpg"):
        fetcher().fetch(image())


def test_a_slow_body_is_waited_for(server: ScriptedS3) -> None:
    server.answers["/images/a.jpg"] = [s3.slow]

    assert fetcher().fetch(image()).data == BODY


def test_an_answer_that_is_not_s3s_is_left_to_boto3(server: ScriptedS3) -> None:
    server.answers["/images/a.jpg"] = [s3.without_date, s3.good]

    assert fetcher().fetch(image()).data == BODY
    assert server.agents() == ["object_store", "Boto3"]


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (412, "PreconditionFailed", FailureReason.CHANGED),
        (404, "NoSuchKey", FailureReason.NOT_FOUND),
        (403, "AccessDenied", FailureReason.ACCESS_DENIED),
        (403, "InvalidObjectState", FailureReason.ARCHIVED),
        (400, "KMS.DisabledException", FailureReason.UNREADABLE),
        (400, "KMS.KMSInvalidStateException", FailureReason.UNREADABLE),
        (400, "KMS.NotFoundException", FailureReason.UNREADABLE),
        (400, "InvalidRequest", FailureReason.UNREADABLE),
        (405, "MethodNotAllowed", FailureReason.UNREADABLE),
        (403, "AllAccessDisabled", FailureReason.UNREADABLE),
        (400, "RequestHeaderSectionTooLarge", FailureReason.UNREADABLE),
        (418, "ACodeThatNobodyHasDocumented", FailureReason.UNREADABLE),
    ],
)
def test_what_is_wrong_with_one_object_is_its_reason(
    server: ScriptedS3, status: int, code: str, reason: FailureReason
) -> None:
    server.answers["/images/a.jpg"] = [s3.error(status, code)]

    with pytest.raises(ImageRejected) as caught:
        fetcher().fetch(image())

    assert caught.value.reason is reason
    # boto3's word counts, and it is not asked more than once.
    assert server.agents() == ["object_store", "Boto3"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "SlowDown"),
        (500, "ACodeThatNobodyHasDocumented"),
        (404, "NoSuchBucket"),
        (400, "ExpiredToken"),
        (301, "PermanentRedirect"),
        (403, "RequestTimeTooSkewed"),
        (403, "InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch"),
        (403, "AccountProblem"),
        (400, "AuthorizationHeaderMalformed"),
        (400, "RequestTimeout"),
        (400, "KMS.ThrottlingException"),
    ],
)
def test_what_is_wrong_with_s3_fails_the_shard(server: ScriptedS3, status: int, code: str) -> None:
    server.answers["/images/a.jpg"] = [s3.error(status, code)]

    with pytest.raises(StorageError) as caught:
        fetcher().fetch(image())
    assert not isinstance(caught.value, AccessDeniedError)


def test_kms_asking_to_come_again_is_waited_for(server: ScriptedS3) -> None:
    server.answers["/images/a.jpg"] = [s3.error(400, "KMS.ThrottlingException")] * 4 + [s3.good]

    assert fetcher().fetch(image()).data == BODY


def test_a_refusal_says_what_s3_said_and_what_to_do(server: ScriptedS3) -> None:
    server.answers["/images/a.jpg"] = [s3.error(400, "InvalidRequest")]

    with pytest.raises(ImageRejected, match=r"^S3 refuses it \(InvalidRequest\): scripted\. .*SSE-C.*copy it"):
        fetcher().fetch(image())


BAD_ETAGS = ["a\r\nb", "a\nb", "a\0b", "\x7f", "a b", 'a"b', "\u00e9", "a" * 100_000]


@pytest.mark.parametrize("etag", BAD_ETAGS, ids=range(len(BAD_ETAGS)))
def test_an_etag_that_no_object_can_have_is_sent_to_nobody(server: ScriptedS3, etag: str) -> None:
    with pytest.raises(ImageRejected, match="no object can have") as caught:
        fetcher().fetch(ShardImage("a.jpg", 10, etag, "a.jpg"))

    assert caught.value.reason is FailureReason.CHANGED
    assert not server.requests


@pytest.mark.parametrize("etag", ["a\r\nb", "\0"])
def test_a_panic_of_the_fast_client_is_left_to_boto3(server: ScriptedS3, etag: str) -> None:
    fast = reader(client())

    assert fast.read("a.jpg", etag, max_bytes=MAX_BYTES) is None
    assert fast.read("a.jpg", ETAG, max_bytes=MAX_BYTES) == FetchedImage(BODY, MODIFIED)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (s3.error(404, "NoSuchKey"), FailureReason.NOT_FOUND),
        (s3.error(400, "InvalidRequest"), FailureReason.UNREADABLE),
        (s3.error(403, "AccessDenied"), FailureReason.ACCESS_DENIED),
        (s3.error(416, "InvalidRange"), FailureReason.EMPTY),
        (s3.good, FailureReason.CHANGED),
    ],
)
def test_of_a_key_that_could_not_be_looked_up_s3_is_asked_why(
    server: ScriptedS3, answer: Answer, reason: FailureReason
) -> None:
    server.answers["/images/a.jpg"] = [answer]

    with pytest.raises(ImageRejected) as caught:
        fetcher().fetch(ShardImage("a.jpg", 0, "", "a.jpg"))

    assert caught.value.reason is reason
    assert "range: bytes=0-0" in server.requests[0].lower()


def test_an_unreachable_s3_fails_the_shard(monkeypatch: pytest.MonkeyPatch, server: ScriptedS3) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(StorageError):
        fetcher().fetch(image())


STRANGE = [
    "a//b.jpg",
    "/a.jpg",
    "//",
    "a/",
    "./a.jpg",
    "a/./b.jpg",
    "../a.jpg",
    "a/../../b.jpg",
    "..",
    "a\nb.jpg",
    "\r",
    "tab\t.jpg",
    "\x7f.jpg",
    "\x01",
]
PLAIN = [
    "a.jpg",
    ".hidden/...jpg",
    "a/.../b",
    "a b.jpg",
    " a ",
    "a+b&c=d?e#f%g.jpg",
    "100%25%2F%2e%2e.jpg",
    'it\'s "quoted" <here>.jpg',
    "back\\slash\\..\\x",
    "{[(~!*)]}|^`;:@$,",
    "日本/😀.jpg",
    "é.jpg",
    "é.jpg",
    "\x85\xa0\u2028\ufeff",
    "x" * 1024,
    "é" * 512,
]


@pytest.mark.parametrize("key", STRANGE + PLAIN)
def test_any_key_is_asked_for_as_boto3_asks_for_it(server: ScriptedS3, key: str) -> None:
    client().get_object(Bucket=BUCKET, Key=key)

    assert fetcher().fetch(image(key)).data == BODY

    first, second = server.targets
    assert first == second
    assert server.agents()[1] == ("Boto3" if key in STRANGE else "object_store")


@pytest.mark.parametrize(
    ("endpoint", "bucket", "region"),
    [
        (None, "my-images", "eu-central-1"),
        (None, "my-images", "us-east-1"),
        (None, "my-images", "cn-north-1"),
        (None, "my-images", "us-gov-west-1"),
        (None, "my.images.with.dots", "eu-central-1"),
        ("http://127.0.0.1:9000", "my-images", "eu-central-1"),
        ("http://localhost:9000", "my-images", "eu-central-1"),
        ("https://s3.example.org/base", "my-images", "eu-central-1"),
    ],
)
def test_a_bucket_is_addressed_as_boto3_addresses_it(
    monkeypatch: pytest.MonkeyPatch, endpoint: str | None, bucket: str, region: str
) -> None:
    s3_client = boto3.client(
        "s3", region_name=region, endpoint_url=endpoint, aws_access_key_id="k", aws_secret_access_key="s"
    )
    sent: list[str] = []

    class Sent(Exception):  # noqa: N818 - it ends the call, and is no error
        pass

    def before_send(request: Any, **_: Any) -> None:
        sent.append(request.url)
        raise Sent

    s3_client.meta.events.register("before-send.s3.GetObject", before_send)
    with pytest.raises(Sent):
        s3_client.get_object(Bucket=bucket, Key="k.jpg")

    address, is_virtual_hosted = fast_get._address(s3_client, bucket)

    assert (address if is_virtual_hosted else f"{address}/{bucket}") + "/k.jpg" == sent[0]


def test_buckets_with_ways_of_their_own_are_left_to_boto3(server: ScriptedS3) -> None:
    assert fast_reader(client(), "arn:aws:s3:eu-central-1:123456789012:accesspoint/images") is None
    assert fast_reader(client(), "images--euc1-az1--x-s3") is None


def test_without_credentials_there_is_boto3_alone(monkeypatch: pytest.MonkeyPatch, server: ScriptedS3) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")

    assert fast_reader(client(), BUCKET) is None


CONTAINER = "/v2/credentials/0123"


def credentials_answer(access_key: str) -> Answer:
    """What the ECS agent answers. They end so soon that botocore gets new ones each time it is asked."""
    expiration = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = json.dumps({"AccessKeyId": access_key, "SecretAccessKey": "s", "Token": "t", "Expiration": expiration})

    def answer(connection: socket.socket) -> bool:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        return True

    return answer


@pytest.mark.parametrize("by", ["full", "relative"])
def test_a_containers_credentials_are_used_and_renewed(
    monkeypatch: pytest.MonkeyPatch, server: ScriptedS3, by: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    if by == "full":
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url + CONTAINER)
    else:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", CONTAINER)
        # The agent's own address, 169.254.170.2, is not of this machine.
        monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.IP_ADDRESS", server.url.split("/")[-1])
    monkeypatch.setattr(fast_get, "CREDENTIALS_TTL", timedelta(0))
    server.answers[CONTAINER] = [credentials_answer(f"KEY{number}") for number in range(1, 10)]
    fast = reader(client())

    assert fast.read("a.jpg", ETAG, max_bytes=MAX_BYTES) == FetchedImage(BODY, MODIFIED)
    time.sleep(0.15)  # obstore asks no more often than ten times a second
    assert fast.read("b.jpg", ETAG, max_bytes=MAX_BYTES) == FetchedImage(BODY, MODIFIED)

    gets = [request for request in server.requests if request.startswith("GET /images/")]
    first, second = (re.findall(r"Credential=KEY(\d)/", request) for request in gets)
    assert first < second


def test_an_object_that_is_larger_than_listed_is_refused(server: ScriptedS3) -> None:
    """A manifest may say anything of a size."""
    assert reader(client()).read("a.jpg", ETAG, max_bytes=len(BODY) - 1) is None
    with pytest.raises(ImageRejected) as caught:
        fetcher(max_bytes=len(BODY) - 1).fetch(image())
    assert caught.value.reason is FailureReason.TOO_LARGE


def test_http_is_spoken_only_where_the_endpoint_says_so(monkeypatch: pytest.MonkeyPatch, server: ScriptedS3) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url.replace("http:", "https:"))

    assert reader(client()).read("a.jpg", ETAG, max_bytes=MAX_BYTES) is None
    assert not [request for request in server.requests if request.startswith("GET")]


def test_an_operators_own_authorities_are_trusted_and_no_others(
    monkeypatch: pytest.MonkeyPatch, server: ScriptedS3, certificates: Path
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    with s3.scripted_s3(tls) as secure:
        monkeypatch.setenv("AWS_ENDPOINT_URL", secure.url)
        assert reader(client()).read("a.jpg", ETAG, max_bytes=MAX_BYTES) is None

        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificates / "ca.pem"))
        assert reader(client()).read("a.jpg", ETAG, max_bytes=MAX_BYTES) == FetchedImage(BODY, MODIFIED)


def test_after_many_refusals_the_fast_client_rests(server: ScriptedS3) -> None:
    now = [0.0]
    s3_client = client()
    fast = FastReader(reader(s3_client)._store, clock=lambda: now[0])
    fetch = ImageFetcher(s3_client, BUCKET, max_bytes=MAX_BYTES, fast=fast).fetch
    refused: list[Answer] = [s3.without_date, s3.good]
    server.answers["/images/a.jpg"] = refused * beside_boto3.MAX_CONSECUTIVE_FAILURES + [s3.good]

    for _ in range(beside_boto3.MAX_CONSECUTIVE_FAILURES):
        assert fetch(image()).data == BODY
    server.requests.clear()
    fetch(image())
    assert server.agents() == ["Boto3"]

    now[0] += beside_boto3.PAUSE_SECONDS
    fetch(image())
    assert server.agents() == ["Boto3", "object_store"]


def test_a_read_between_refusals_forgives_them(server: ScriptedS3) -> None:
    fetch = fetcher().fetch
    refused: list[Answer] = [s3.without_date, s3.good]
    for round_ in range(3):
        server.answers["/images/a.jpg"] = refused * (beside_boto3.MAX_CONSECUTIVE_FAILURES - 1) + [s3.good]
        for _ in range(beside_boto3.MAX_CONSECUTIVE_FAILURES):
            fetch(image())
        assert server.agents()[-1] == "object_store", round_


class Bucket:
    """An S3 client whose object breaks off `breaks` times, or answers with an error code."""

    def __init__(self, *, breaks: int = 0, code: str = "") -> None:
        self.breaks, self.code, self.requests = breaks, code, list[dict[str, Any]]()

    def get_object(self, **request: Any) -> Any:
        self.requests.append(request)
        if self.code:
            raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "GetObject")
        body = BrokenBody() if len(self.requests) <= self.breaks else io.BytesIO(b"bytes")
        return {"Body": body, "LastModified": MODIFIED}


class BrokenBody:
    def read(self) -> bytes:
        raise IncompleteReadError(actual_bytes=1, expected_bytes=5)


def slow_fetch(bucket: Bucket) -> Callable[[ShardImage], FetchedImage]:
    return ImageFetcher(bucket, "images", max_bytes=100, sleep=lambda seconds: None).fetch  # type: ignore[arg-type]


def test_boto3_asks_for_the_object_that_was_listed_and_no_other() -> None:
    bucket = Bucket()
    assert slow_fetch(bucket)(image()) == FetchedImage(b"bytes", MODIFIED)
    assert bucket.requests == [{"Bucket": "images", "Key": "a.jpg", "IfMatch": f'"{ETAG}"'}]


def test_boto3_reads_a_body_that_breaks_off_again() -> None:
    assert slow_fetch(Bucket(breaks=BODY_ATTEMPTS - 1))(image()).data == b"bytes"
    with pytest.raises(StorageError, match=r"images/a\.jpg"):
        slow_fetch(Bucket(breaks=BODY_ATTEMPTS))(image())


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (ShardImage("k", 0, "e", "k"), FailureReason.EMPTY),
        (ShardImage("k", 101, "e", "k"), FailureReason.TOO_LARGE),
    ],
)
def test_what_the_listing_tells_is_not_downloaded(listed: ShardImage, reason: FailureReason) -> None:
    bucket = Bucket()
    with pytest.raises(ImageRejected) as caught:
        slow_fetch(bucket)(listed)
    assert caught.value.reason is reason
    assert not bucket.requests
