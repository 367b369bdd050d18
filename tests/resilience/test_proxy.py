"""The proxy passes on byte for byte, and its faults look to boto3 as those of AWS do."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from moto.server import ThreadedMotoServer

from resilience.faults import aws_errors
from resilience.faults import network_faults as network
from resilience.faults.injector import Armed, Fault, Injector, Ledger
from resilience.faults.network_faults import AnswerLost, BrokenBody, Refused
from resilience.faults.proxy import FaultProxy
from testkit.http_messages import Message

BODY = os.urandom(3000)
WORKER = "StepvecPipeline-BatchJobRole"


class Echo:
    """A server that keeps what it gets and answers with bytes of its own."""

    ANSWER = b"HTTP/1.1 200 OK\r\nX-Odd:  two  spaces\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.received = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            while not self.received.endswith(b"0\r\n\r\n"):
                self.received += connection.recv(65536)
            connection.sendall(self.ANSWER)

    def close(self) -> None:
        self._socket.close()


def test_requests_and_answers_pass_byte_for_byte() -> None:
    echo = Echo()
    proxy = FaultProxy(echo.url, Injector(1, Ledger()), lambda _: "")
    request = (
        b"PUT /bucket/a%2Fb?x-id=PutObject HTTP/1.1\r\nhOsT: 127.0.0.1:4\r\nAuthorization: none\r\n"
        b"Transfer-Encoding: chunked\r\nX-Odd:\tvalue \r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", int(proxy.url.rsplit(":", 1)[1]))) as client:
        client.sendall(request)
        answer = b""
        while len(answer) < len(Echo.ANSWER):
            answer += client.recv(65536)
    proxy.close()
    echo.close()
    assert (echo.received, answer) == (request, Echo.ANSWER)


class Bench:
    """moto behind the proxy; `reads` clients never retry, so that each fault is seen."""

    def __init__(self, url: str) -> None:
        self.ledger = Ledger()
        self.injector = Injector(1, self.ledger)
        self.proxy = FaultProxy(url, self.injector, lambda _: WORKER)
        self.direct = self._client("s3", url)
        self.s3 = self._client("s3", self.proxy.url)
        self.dynamodb = self._client("dynamodb", self.proxy.url)

    def _client(self, service: str, url: str) -> Any:
        config = Config(retries={"total_max_attempts": 1})
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=config,
        )

    @contextmanager
    def armed(self, faults: Sequence[Fault], rate: float = 1.0) -> Iterator[None]:
        self.injector.arm([Armed(fault, rate) for fault in faults])
        try:
            yield
        finally:
            self.injector.disarm()


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    bench = Bench(f"http://{host}:{port}")
    bench.direct.create_bucket(Bucket="images")
    bench.direct.put_object(Bucket="images", Key="a.jpg", Body=BODY)
    bench.dynamodb.create_table(
        TableName="rows",
        KeySchema=[{"AttributeName": "ImageId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "ImageId", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield bench
    bench.proxy.close()
    server.stop()


def read(bench: Bench) -> bytes:
    return bytes(bench.s3.get_object(Bucket="images", Key="a.jpg")["Body"].read())


def test_without_a_fault_nothing_changes(bench: Bench) -> None:
    assert read(bench) == BODY


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (aws_errors.slow_down, 503, "SlowDown"),
        (aws_errors.s3_failed, 500, "InternalError"),
        (aws_errors.s3_denied, 403, "AccessDenied"),
        (aws_errors.clock_skewed, 403, "RequestTimeTooSkewed"),
    ],
)
def test_errors_of_s3(bench: Bench, answer: Any, status: int, code: str) -> None:
    before = bench.ledger.injections["e"]
    with bench.armed([Refused("e", network.s3_call, answer)]):
        with pytest.raises(ClientError) as caught:
            read(bench)
        with pytest.raises(ClientError) as head:
            bench.s3.head_object(Bucket="images", Key="a.jpg")
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert head.value.response["Error"]["Code"] == str(status)
    assert bench.ledger.injections["e"] == before + 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (aws_errors.throughput_exceeded, "ProvisionedThroughputExceededException"),
        (aws_errors.throttled, "ThrottlingException"),
        (aws_errors.dynamodb_failed, "InternalServerError"),
        (aws_errors.dynamodb_denied, "AccessDeniedException"),
    ],
)
def test_errors_of_dynamodb(bench: Bench, answer: Any, code: str) -> None:
    with bench.armed([Refused("e", network.dynamodb_call, answer)]), pytest.raises(ClientError) as caught:
        bench.dynamodb.get_item(TableName="rows", Key={"ImageId": {"S": "1"}})
    assert caught.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("how", ["reset", "truncated"])
def test_a_body_that_breaks_off_is_an_error_of_the_client(bench: Bench, how: Any) -> None:
    with bench.armed([BrokenBody("b", network.s3_read, how)]), pytest.raises((BotoCoreError, ConnectionError)):
        read(bench)


def test_a_slow_body_arrives_whole(bench: Bench) -> None:
    with bench.armed([BrokenBody("b", network.s3_read, "slow")]):
        assert read(bench) == BODY


def test_an_answer_that_is_lost_was_done(bench: Bench) -> None:
    lost = AnswerLost("l", network.dynamodb_call, aws_errors.dynamodb_failed)
    for number in range(6):
        item = {"ImageId": {"S": f"lost-{number}"}}
        with bench.armed([lost]), pytest.raises((ClientError, BotoCoreError)):
            bench.dynamodb.put_item(TableName="rows", Item=item)
        assert "Item" in bench.dynamodb.get_item(TableName="rows", Key=item)


def test_what_is_left_unprocessed_was_not_written_and_the_rest_was(bench: Bench) -> None:
    ids = [f"u-{number}" for number in range(5)]
    requests = [{"PutRequest": {"Item": {"ImageId": {"S": name}}}} for name in ids]
    with bench.armed([network.Unprocessed("u")]):
        answer = bench.dynamodb.batch_write_item(RequestItems={"rows": requests})
    left = {entry["PutRequest"]["Item"]["ImageId"]["S"] for entry in answer["UnprocessedItems"]["rows"]}
    there = {name for name in ids if "Item" in bench.dynamodb.get_item(TableName="rows", Key={"ImageId": {"S": name}})}
    assert left
    assert left | there == set(ids)
    assert not left & there
    assert bench.ledger.images["u"] == left
    keys = [{"ImageId": {"S": name}} for name in sorted(there)]
    with bench.armed([network.Unprocessed("u")]):
        got = bench.dynamodb.batch_get_item(RequestItems={"rows": {"Keys": keys}})
    unread = got["UnprocessedKeys"]["rows"]["Keys"]
    assert unread
    assert len(got["Responses"]["rows"]) + len(unread) == len(keys)


def test_the_seed_decides_and_a_rate_is_kept(bench: Bench) -> None:
    def hits(seed: int) -> list[bool]:
        injector = Injector(seed, Ledger())
        return [injector._draws.next(f"kind GetObject {number}")[0] < 0.3 for number in range(2000)]

    assert hits(5) == hits(5)
    assert hits(5) != hits(6)
    assert 500 < sum(hits(5)) < 700


def test_a_message_with_another_body_has_its_length_and_no_old_checksum() -> None:
    message = Message(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\nX-Amz-Crc32: 1\r\nA: b\r\n\r\n", b"123456789")
    assert message.with_body(b"12").head == b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\n"
