"""Files of a run are read whole or not at all, however the network breaks."""

from __future__ import annotations

import io
from typing import Any, cast
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError, ResponseStreamingError

from stepvec.adapters.aws_errors import BODY_ATTEMPTS
from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import StorageError
from stepvec.runs.layout import S3Uri
from stepvec.runs.listing import ListedImage
from stepvec.runs.outcome import FailureReason

URI = S3Uri("work", "runs/r/input.json")
CONTENT = b"the whole file" * 100


class BreakingBody(io.RawIOBase):
    """Gives the first bytes, and then what a connection that was reset gives."""

    def __init__(self) -> None:
        self._given = False

    def read(self, size: int = -1) -> bytes:
        if self._given:
            raise ResponseStreamingError(error="Connection broken")
        self._given = True
        return CONTENT[:50]


class Client:
    """S3, whose first `broken` bodies break off."""

    # Of a real client, the store takes its events, to read listings faster.
    meta = Mock()

    def __init__(self, broken: int) -> None:
        self.broken = broken
        self.reads = 0

    def get_object(self, **_: Any) -> Any:
        self.reads += 1
        return {"Body": BreakingBody() if self.reads <= self.broken else io.BytesIO(CONTENT)}


def store_of(client: Client, pauses: list[float]) -> ObjectStore:
    return ObjectStore(cast(Any, client), sleep=pauses.append)


def test_a_body_that_breaks_off_is_read_again_from_its_start() -> None:
    client, pauses = Client(broken=BODY_ATTEMPTS - 1), list[float]()
    with store_of(client, pauses).open(URI) as stream:
        assert stream.read() == CONTENT
    assert (client.reads, len(pauses)) == (BODY_ATTEMPTS, BODY_ATTEMPTS - 1)


def test_a_body_that_always_breaks_off_is_a_storage_error() -> None:
    client = Client(broken=BODY_ATTEMPTS)
    with pytest.raises(StorageError, match=r"reading s3://work/runs/r/input\.json"), store_of(client, []).open(URI):
        pass
    assert client.reads == BODY_ATTEMPTS


def looked_up(head: dict[str, Any] | Exception, get: Exception | None = None) -> ListedImage:
    client = Mock()
    client.head_object.side_effect = [head]
    client.get_object.side_effect = [get]
    return ObjectStore(client).look_up("images", "a.jpg")


def answer(code: str, status: int) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "HeadObject")


RESTORED = 'ongoing-request="false", expiry-date="Fri, 21 Dec 2029 00:00:00 GMT"'


@pytest.mark.parametrize(
    ("fields", "is_archived"),
    [
        ({}, False),
        ({"StorageClass": "GLACIER_IR"}, False),
        ({"StorageClass": "GLACIER"}, True),
        ({"StorageClass": "DEEP_ARCHIVE", "Restore": 'ongoing-request="true"'}, True),
        ({"StorageClass": "DEEP_ARCHIVE", "Restore": RESTORED}, False),
        ({"StorageClass": "INTELLIGENT_TIERING"}, False),
        ({"StorageClass": "INTELLIGENT_TIERING", "ArchiveStatus": "ARCHIVE_ACCESS"}, True),
    ],
)
def test_archived_objects_are_known_by_their_head(fields: dict[str, str], is_archived: bool) -> None:
    found = looked_up({"ContentLength": 5, "ETag": '"e"', **fields})
    assert (found.size, found.etag) == (5, "e")
    assert (found.refused is not None and found.refused.reason is FailureReason.ARCHIVED) is is_archived


def test_a_head_that_is_refused_is_that_objects_own() -> None:
    assert looked_up(answer("404", 404)) == ListedImage("a.jpg", 0, "")
    for code, status, reason in (("400", 400, "Unreadable"), ("403", 403, "AccessDenied")):
        said = answer("AccessDenied" if status == 403 else "InvalidRequest", status)
        found = looked_up(answer(code, status), said)
        assert found.refused is not None
        assert found.refused.reason == reason
    for code, status in (("503", 503), ("SlowDown", 503), ("ExpiredToken", 400), ("301", 301)):
        with pytest.raises(StorageError):
            looked_up(answer(str(status), status), answer(code, status))
