"""PutItem after botocore's pattern: the same requests, and boto3's own answer to all that is not a row stored."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError

from stepvec.adapters import beside_boto3, clients, fast_put
from stepvec.adapters.dynamodb_retries import MAX_ATTEMPTS
from stepvec.adapters.fast_put import FastPut
from stepvec.adapters.vector_table import VectorTable
from stepvec.errors import AccessDeniedError, StorageError
from stepvec.rows.item import RowMetadata, VectorItem
from testkit.http_messages import Message
from tests.worker import scripted_dynamodb as dynamodb
from tests.worker.scripted_dynamodb import Answer, ScriptedDynamoDb
from tests.worker.scripted_server import use_server

SIGNED = ("content-type", "host", "x-amz-date", "x-amz-security-token", "x-amz-target")
NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedDynamoDb]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    # boto3 keeps a session with the first test's credentials.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with dynamodb.scripted_dynamodb() as server:
        use_server(monkeypatch, server)
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        yield server


@dataclass
class Writer:
    """A table whose rows go by `fast`; `by_boto3` counts what its client sent or was given the answer to."""

    table: VectorTable
    fast: FastPut
    clock: list[float]
    waits: list[float]
    calls: list[str] = field(default_factory=list)

    @property
    def by_boto3(self) -> int:
        return len(self.calls)


def writer(signed_with: Credentials | None = None) -> Writer:
    client: Any = clients.dynamodb_client(4)
    if signed_with is not None:
        client._request_signer._credentials = signed_with
    used = signed_with or clients.credentials()
    assert used is not None
    clock, waits = [0.0], list[float]()
    fast = FastPut(client, used, clock=lambda: clock[0])
    made = Writer(VectorTable(client, "t", put_item=fast.put_item, sleep=waits.append, threads=1), fast, clock, waits)
    client.meta.events.register("before-call.dynamodb.PutItem", lambda **_: made.calls.append("PutItem"))
    return made


def row(name: str = "a", *, etag: str = "e", modified: datetime = NOW) -> VectorItem:
    vector = bytes(range(256)) * 8
    return VectorItem(f"{name}.jpg", vector, "float32", 512, NOW, f"{name}.jpg", etag, "m", "r", modified)


def warm(server: ScriptedDynamoDb, signed_with: Credentials | None = None) -> Writer:
    """One that has put a row by boto3, which is not counted."""
    made = writer(signed_with)
    assert made.table.put(row("first")) is None
    assert made.by_boto3 == len(server.requests) == 1
    made.calls.clear()
    server.requests.clear()
    return made


def signature_by_botocore(request: Message, credentials: Credentials) -> str:
    """The header Authorization that botocore gives this request at the time that it names."""
    lines = [line.partition(": ") for line in request.head.decode().split("\r\n")[1:-2]]
    # botocore adds the others after it has signed.
    headers = {name: value for name, _, value in lines if name.lower() in SIGNED}
    url = f"http://{request.header('host')}/"
    again = AWSRequest("POST", url, headers, request.body)
    auth = SigV4Auth(credentials, "dynamodb", "eu-central-1")
    again.context["timestamp"] = request.header("x-amz-date")
    canonical = auth.canonical_request(again)
    signature = auth.signature(auth.string_to_sign(again, canonical), again)
    signed = auth.signed_headers(auth.headers_to_sign(again))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(again)}, SignedHeaders={signed}, Signature={signature}"


@pytest.mark.parametrize("token", ["token", ""])
def test_requests_are_botocores_own(monkeypatch: pytest.MonkeyPatch, server: ScriptedDynamoDb, token: str) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    made = writer()
    for name in ("a", "b", "ü \U0001f600 \"'\\", "c"):
        made.table.put(row(name))

    assert made.by_boto3 == 1
    first, *others = server.requests
    credentials = Credentials("AKID", "secret", token or None)
    for request in others:
        assert request.header("authorization") == signature_by_botocore(request, credentials)
    names = [{name.lower() for name in request._headers} for request in server.requests]
    assert names == [names[0]] * 4
    constant = ("x-amz-target", "content-type", "user-agent", "x-amz-security-token", "host", "amz-sdk-request")
    assert [[request.header(name) for name in constant] for request in others] == [
        [first.header(name) for name in constant]
    ] * 3
    assert len({request.header("amz-sdk-invocation-id") for request in server.requests}) == 4
    assert len(server.rows()) == 4
    # The same row by boto3 alone: the same bytes.
    VectorTable(clients.dynamodb_client(), "t").put(row("ü \U0001f600 \"'\\"))
    assert server.requests[-1].body == server.requests[2].body


def test_a_connection_is_kept(server: ScriptedDynamoDb) -> None:
    made = warm(server)
    for _ in range(5):
        made.table.put(row())
    assert (made.by_boto3, len(server.requests), server.connections) == (0, 5, 2)


@pytest.mark.parametrize("last", [dynamodb.good_and_closed, dynamodb.good_and_last])
def test_a_connection_that_was_closed_is_replaced(server: ScriptedDynamoDb, last: Answer) -> None:
    made = warm(server)
    server.script = [last]
    made.table.put(row("a"))
    while not server.ended:
        time.sleep(0.01)
    made.table.put(row("b"))
    assert (made.by_boto3, len(server.requests), server.connections) == (0, 2, 3)
    assert {"a.jpg", "b.jpg"} <= server.rows().keys()


def test_an_answer_may_come_in_chunks(server: ScriptedDynamoDb) -> None:
    made = warm(server)
    server.script = [dynamodb.in_chunks]
    made.table.put(row())
    made.table.put(row())
    assert (made.by_boto3, len(server.requests)) == (0, 2)


@pytest.mark.parametrize("broken", [dynamodb.lost, dynamodb.cut, dynamodb.garbled, dynamodb.silent])
def test_without_an_answer_boto3_sends_the_row_again(
    monkeypatch: pytest.MonkeyPatch, server: ScriptedDynamoDb, broken: Answer
) -> None:
    monkeypatch.setattr(fast_put, "READ_SECONDS", 0.3)
    made = warm(server)
    server.script = [broken]

    assert made.table.put(row()) is None

    assert (made.by_boto3, len(server.requests), made.waits) == (1, 2, [])
    assert server.requests[0].body == server.requests[1].body
    assert made.table.put(row("b")) is None
    assert (made.by_boto3, len(server.requests)) == (1, 3)


def test_a_newer_row_stands_and_is_told(server: ScriptedDynamoDb) -> None:
    made = warm(server)
    newer = row(etag="newer", modified=NOW + timedelta(seconds=1))
    made.table.put(newer)

    standing = made.table.put(row(etag="older"))

    assert standing == RowMetadata("a.jpg", "a.jpg", "newer", "m", "r", int(NOW.timestamp()) + 1, standing.created)  # type: ignore[union-attr]
    assert server.rows()["a.jpg"]["ETag"] == {"S": "newer"}
    assert (made.by_boto3, len(server.requests)) == (1, 2), "boto3 reads the answer, and asks nothing itself"
    # Just this row is replaced, by boto3, after which the pattern is known again.
    assert made.table.put(row(etag="older"), over=standing) is None
    made.table.put(row("b"))
    assert (made.by_boto3, len(server.requests)) == (2, 4)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "ProvisionedThroughputExceededException"), (400, "ThrottlingException"), (500, "InternalServerError")],
)
def test_what_may_pass_is_waited_for_and_asked_no_more_often_than_by_boto3(
    server: ScriptedDynamoDb, status: int, code: str
) -> None:
    made = warm(server)
    server.script = [dynamodb.error(status, code)] * 3
    made.table.put(row())
    assert (len(server.requests), len(made.waits)) == (4, 3)
    assert "a.jpg" in server.rows()

    server.script = [dynamodb.error(status, code)] * 100
    with pytest.raises(StorageError, match=f"16 times.*{code}"):
        made.table.put(row())
    assert len(server.requests) == 4 + MAX_ATTEMPTS


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("AccessDeniedException", AccessDeniedError),
        ("ExpiredTokenException", StorageError),
        ("UnrecognizedClientException", StorageError),
        ("InvalidSignatureException", StorageError),
        ("ResourceNotFoundException", StorageError),
    ],
)
def test_what_will_not_pass_is_boto3s_error(server: ScriptedDynamoDb, code: str, raised: type[StorageError]) -> None:
    """A wrong clock among them: DynamoDB says InvalidSignatureException."""
    made = warm(server)
    server.script = [dynamodb.error(400, code)]
    with pytest.raises(raised, match="scripted") as fast:
        made.table.put(row())
    assert (made.by_boto3, len(server.requests)) == (1, 1)

    server.script = [dynamodb.error(400, code)]
    with pytest.raises(raised) as slow:
        VectorTable(clients.dynamodb_client(), "t").put(row())
    assert str(fast.value) == str(slow.value)
    made.table.put(row())
    assert made.by_boto3 == 2, "after an error boto3 makes the next request"


def test_an_answer_that_boto3_did_not_come_to_read_is_forgotten(
    monkeypatch: pytest.MonkeyPatch, server: ScriptedDynamoDb
) -> None:
    made = warm(server)
    client: Any = made.fast._client
    server.script = [dynamodb.error(400, "ThrottlingException")]
    with monkeypatch.context() as patch:
        patch.setattr(client._serializer, "serialize_to_request", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            made.table.put(row())
    assert made.table.put(row()) is None
    assert (made.waits, "a.jpg" in server.rows()) == ([], True)


class Renewed:
    """Credentials of a container, whose next ones are given when they end within `seconds`."""

    def __init__(self) -> None:
        self.number = 0
        self.seconds = 3600.0

    def fetch(self) -> dict[str, str]:
        self.number += 1
        expiry = datetime.now(UTC) + timedelta(seconds=self.seconds)
        return {
            "access_key": f"KEY{self.number}",
            "secret_key": f"secret{self.number}",
            "token": f"token{self.number}",
            "expiry_time": expiry.isoformat(),
        }


def test_renewed_credentials_are_used(server: ScriptedDynamoDb) -> None:
    given = Renewed()
    credentials: Any = RefreshableCredentials.create_from_metadata(given.fetch(), given.fetch, "test")
    made = warm(server, credentials)
    made.table.put(row())
    assert made.by_boto3 == 0

    credentials._expiry_time = datetime.now(UTC) + timedelta(seconds=5)
    made.table.put(row("b"))
    made.table.put(row("c"))

    assert [request.header("x-amz-security-token") for request in server.requests] == ["token1", "token2", "token2"]
    assert made.by_boto3 == 1
    for request, number in zip(server.requests, (1, 2, 2), strict=True):
        key = Credentials(f"KEY{number}", f"secret{number}", f"token{number}")
        assert request.header("authorization") == signature_by_botocore(request, key)


def test_credentials_that_cannot_be_renewed_are_boto3s_error(server: ScriptedDynamoDb) -> None:
    given = Renewed()
    credentials: Any = RefreshableCredentials.create_from_metadata(given.fetch(), given.fetch, "test")
    made = warm(server, credentials)

    def fail() -> dict[str, str]:
        raise CredentialRetrievalError(provider="test", error_msg="gone")

    credentials._refresh_using = fail
    credentials._expiry_time = datetime.now(UTC) - timedelta(seconds=5)
    with pytest.raises(StorageError, match="gone"):
        made.table.put(row())
    assert server.requests == []


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
def test_behind_a_proxy_boto3_sends_all(monkeypatch: pytest.MonkeyPatch, server: ScriptedDynamoDb, name: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://dynamodb.eu-central-1.amazonaws.com")
    monkeypatch.setenv(name, server.url)
    made = writer()
    for letter in "abc":
        made.table.put(row(letter))
    assert made.by_boto3 == 3
    assert [request.start_line.split()[1] for request in server.requests] == [
        "http://dynamodb.eu-central-1.amazonaws.com/"
    ] * 3


def test_a_proxy_that_is_not_for_the_endpoint_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, server: ScriptedDynamoDb
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = warm(server)
    made.table.put(row())
    assert made.by_boto3 == 0


def test_an_endpoint_with_a_path_is_left_to_boto3(monkeypatch: pytest.MonkeyPatch, server: ScriptedDynamoDb) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"{server.url}/behind/this")
    made = writer()
    for _ in range(3):
        made.table.put(row())
    assert made.by_boto3 == 3
    assert [request.path for request in server.requests] == ["/behind/this"] * 3


def test_another_way_to_sign_is_left_to_boto3(server: ScriptedDynamoDb) -> None:
    made = writer()
    client: Any = made.fast._client

    def add_header(request: Any, **_: Any) -> None:
        request.headers["X-Amz-New"] = "1"

    client.meta.events.register_first("request-created.dynamodb.PutItem", add_header)
    for _ in range(3):
        made.table.put(row())
    assert made.by_boto3 == 3
    assert [request.header("x-amz-new") for request in server.requests] == ["1"] * 3


def test_others_answers_and_requests_are_not_mixed_up(server: ScriptedDynamoDb) -> None:
    """Eight threads, errors among the answers: each row has its own outcome."""
    made = warm(server)
    server.script = [dynamodb.good, dynamodb.error(400, "ThrottlingException"), dynamodb.lost, dynamodb.garbled] * 20
    wrong: list[BaseException] = []

    def put(letter: str) -> None:
        try:
            for number in range(20):
                assert made.table.put(row(f"{letter}{number}")) is None
        except BaseException as error:  # noqa: BLE001 - told by the test
            wrong.append(error)

    threads = [threading.Thread(target=put, args=(letter,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    rows = server.rows()
    assert len(rows) == 1 + 8 * 20
    assert all(item["Key"]["S"] == name for name, item in rows.items())


def test_after_many_failures_boto3_sends_all_for_a_while(server: ScriptedDynamoDb) -> None:
    made = warm(server)
    server.script = [dynamodb.lost, dynamodb.good] * beside_boto3.MAX_CONSECUTIVE_FAILURES
    for _ in range(beside_boto3.MAX_CONSECUTIVE_FAILURES):
        made.table.put(row())
    server.requests.clear()
    made.calls.clear()

    made.table.put(row())
    assert (made.by_boto3, len(server.requests)) == (1, 1)
    made.clock[0] += beside_boto3.PAUSE_SECONDS
    made.table.put(row())
    assert (made.by_boto3, len(server.requests)) == (1, 2)


def test_an_answer_between_failures_forgives_them(server: ScriptedDynamoDb) -> None:
    made = warm(server)
    for _ in range(2):
        server.script = [dynamodb.lost, dynamodb.good] * (beside_boto3.MAX_CONSECUTIVE_FAILURES - 1)
        for _ in range(beside_boto3.MAX_CONSECUTIVE_FAILURES):
            made.table.put(row())
    made.calls.clear()
    made.table.put(row())
    assert made.by_boto3 == 0


def test_an_operators_own_authorities_are_trusted_and_no_others(
    monkeypatch: pytest.MonkeyPatch, server: ScriptedDynamoDb, certificates: Path
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    with dynamodb.scripted_dynamodb(tls) as secure:
        monkeypatch.setenv("AWS_ENDPOINT_URL", secure.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificates / "ca.pem"))
        made = warm(secure)
        for letter in "abc":
            made.table.put(row(letter))
        assert (made.by_boto3, len(secure.requests), secure.connections) == (0, 3, 2)

        secure.requests.clear()
        other = warm(secure)
        monkeypatch.delenv("AWS_CA_BUNDLE")
        other.table.put(row())
        assert (other.by_boto3, len(secure.requests)) == (1, 1), "only boto3, made with the bundle, trusts the server"


def test_the_key_that_signs_is_of_the_day_and_of_the_secret(server: ScriptedDynamoDb) -> None:
    made = warm(server)
    pattern = made.fast._pattern
    assert pattern is not None
    credentials = Credentials("AKID", "secret", "token")
    for date in ("20261127T235959Z", "20261128T000000Z"):
        request = Message(*_head_and_body(pattern.message(b"{}", date)))
        assert request.header("authorization") == signature_by_botocore(request, credentials)
    other = replace(pattern, credentials=Credentials("AKID", "other", "token").get_frozen_credentials())
    assert other.authorization(b"{}", "20261127T235959Z") != pattern.authorization(b"{}", "20261127T235959Z")


def _head_and_body(message: bytes) -> tuple[bytes, bytes]:
    head, end, body = message.partition(b"\r\n\r\n")
    return head + end, body
