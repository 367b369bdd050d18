"""The short cut for ListObjectsV2: the same page as botocore's own parser gives, whatever S3 answers."""

from __future__ import annotations

import urllib.parse
from typing import Any, Self
from xml.sax.saxutils import escape

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from stepvec.adapters.list_objects import shorten_listing_answers
from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import StorageError
from stepvec.runs.listing import ListedImage
from tests.properties.strategies import KEYS, PROPERTY

NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class Raw:
    """The body of an HTTP answer, as urllib3 gives it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Any:
        yield self._body


class Service:
    """An S3 client that is answered from a list, in turn, and never calls anything."""

    def __init__(self) -> None:
        config = Config(retries={"mode": "standard", "total_max_attempts": 2})
        self.client: Any = boto3.client(
            "s3", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s", config=config
        )
        self.requests: list[str] = []
        self._answers: list[tuple[int, bytes]] = []
        self.client.meta.events.register("before-send.s3.ListObjectsV2", self._send)  # type: ignore[arg-type]

    def answers(self, *answers: tuple[int, bytes]) -> Self:
        """Gives these answers to the requests to come."""
        self.requests, self._answers = [], list(answers)
        return self

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        self.requests.append(request.url)
        status, body = self._answers.pop(0)
        return AWSResponse(request.url, status, {"content-type": "application/xml"}, Raw(body))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def service() -> Service:
    return Service()


def page(
    entries: list[ListedImage], *, namespace: str = NAMESPACE, encoding: str = "url", truncated: bool = True
) -> bytes:
    def written(key: str) -> str:
        return urllib.parse.quote_plus(key) if encoding else escape(key)

    contents = "".join(
        f"<Contents><Key>{written(entry.key)}</Key><LastModified>2026-11-01T12:00:00.000Z</LastModified>"
        f"<ETag>&quot;{entry.etag}&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
        f"<Size>{entry.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for entry in entries
    )
    encoded = f"<EncodingType>{encoding}</EncodingType>" if encoding else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult{namespace}><Name>b</Name><Prefix>p%2F</Prefix>'
        f"<KeyCount>{len(entries)}</KeyCount><MaxKeys>1000</MaxKeys>{encoded}"
        f"<IsTruncated>{str(truncated).lower()}</IsTruncated>{contents}</ListBucketResult>"
    ).encode()


ETAGS = st.text("0123456789abcdef-", max_size=40)
ENTRIES = st.lists(st.builds(ListedImage, KEYS, st.integers(0, 2**43), ETAGS), max_size=5)


@PROPERTY
@given(ENTRIES, st.sampled_from([NAMESPACE, ""]), st.booleans())
def test_any_key_size_and_etag_is_read(
    service: Service, entries: list[ListedImage], namespace: str, truncated: bool
) -> None:
    service.answers((200, page(entries, namespace=namespace, truncated=truncated)))
    found = ObjectStore(service.client).list_page("b", "p/", "p/after me")
    assert found.objects == tuple(entries)
    assert found.is_last is not truncated
    assert "start-after=p%2Fafter%20me" in service.requests[0]


@pytest.mark.parametrize("encoding", ["url", ""])
def test_the_rest_of_the_answer_is_botocores(encoding: str) -> None:
    entries = [ListedImage("p/a b&c.jpg", 5, "e1"), ListedImage("p/ü.jpg", 6, "e2")]
    ours, theirs = (Service().answers((200, page(entries, encoding=encoding))).client for _ in range(2))
    shorten_listing_answers(ours)
    short, full = (client.list_objects_v2(Bucket="b", Prefix="p/") for client in (ours, theirs))
    wanted = ("Key", "Size", "ETag", "StorageClass")
    assert short.pop("Contents") == [{name: entry[name] for name in wanted} for entry in full.pop("Contents")]
    for answer in (short, full):
        del answer["ResponseMetadata"]
    assert short == full


def test_an_answer_that_breaks_off_is_asked_for_again(service: Service) -> None:
    entries = [ListedImage("p/a.jpg", 5, "e")]
    service.answers((200, page(entries)[:-30]), (200, page(entries)))
    assert ObjectStore(service.client).list_page("b", "p/", "").objects == tuple(entries)
    assert len(service.requests) == 2


def test_errors_stay_errors(service: Service) -> None:
    error = b"<Error><Code>NoSuchBucket</Code><Message>no such bucket</Message></Error>"
    service.answers((404, error))
    with pytest.raises(StorageError, match="no such bucket"):
        ObjectStore(service.client).list_page("b", "p/", "")


def test_two_stores_may_share_a_client(service: Service) -> None:
    entries = [ListedImage("p/%2B.jpg", 5, "e")]
    service.answers((200, page(entries)), (200, page(entries)))
    stores = [ObjectStore(service.client), ObjectStore(service.client)]
    assert [store.list_page("b", "p/", "").objects for store in stores] == [tuple(entries)] * 2


@pytest.mark.parametrize("shortened", [True, False])
def test_archived_objects_are_told_by_their_class_and_restoration(shortened: bool) -> None:
    storage = {
        "glacier.jpg": ("GLACIER", ""),
        "deep.jpg": ("DEEP_ARCHIVE", ""),
        "instant.jpg": ("GLACIER_IR", ""),
        "restored.jpg": (
            "GLACIER",
            ("<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
            "<RestoreExpiryDate>2029-12-21T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>"),
        ),
        "restoring.jpg": (
            "DEEP_ARCHIVE", "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"
        ),
    }  # fmt: skip
    body = page([ListedImage(key, 1, "e") for key in storage]).decode()
    for kind, status in storage.values():
        body = body.replace("<StorageClass>STANDARD</StorageClass>", f"<StorageClass>{kind}</StorageClass>{status}", 1)
    service = Service().answers((200, body.encode()))
    store = ObjectStore(service.client)
    if not shortened:
        service.client.meta.events.unregister("before-parse.s3.ListObjectsV2", unique_id="stepvec-listing-answer")
    refused = {entry.key: entry.refused.message for entry in store.list_page("b", "", "").objects if entry.refused}
    assert sorted(refused) == ["deep.jpg", "glacier.jpg", "restoring.jpg"]
    assert "restore it" in refused["glacier.jpg"]
    assert "being restored" in refused["restoring.jpg"]
