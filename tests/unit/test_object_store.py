"""Files of a run are read whole or not at all, however the network breaks."""

from __future__ import annotations

import io
from typing import Any, cast
from unittest.mock import Mock

import pytest
from botocore.exceptions import ResponseStreamingError

from stepvec.adapters.aws_errors import BODY_ATTEMPTS
from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import StorageError
from stepvec.runs.layout import S3Uri

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
