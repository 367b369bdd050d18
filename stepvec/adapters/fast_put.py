"""PutItem at a fifth of boto3's CPU; boto3 has the last word on whatever is not a row stored.

boto3 makes the first request. The next ones are made after its pattern, over connections of the standard library, as
long as the credentials are the same. An answer that is an error is read by boto3, as if it had sent the request; a
request without an answer is sent again by boto3. So credentials, endpoints, proxies, errors and retries stay boto3's:
docs/decisions/0142.
"""

from __future__ import annotations

import io
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any, Final

import urllib3
from botocore.awsrequest import AWSResponse
from botocore.utils import get_environ_proxies
from urllib3.util.wait import wait_for_read

from stepvec.adapters.beside_boto3 import PAUSE_SECONDS, Pause, certificate_authorities
from stepvec.adapters.signed_again import Pattern, body_of, pattern_of
from stepvec.adapters.telemetry import logger

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.credentials import Credentials
    from mypy_boto3_dynamodb import DynamoDBClient

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 20.0
"""Without an answer for so long, boto3 sends the request again, and waits for as long as its own time-out says."""

_OK: Final = 200
_EVENT: Final = "before-send.dynamodb.PutItem"
"""https://docs.aws.amazon.com/boto3/latest/guide/events.html; a handler may give the answer itself."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Any
    content: bytes


class _Thread(threading.local):
    """What a thread's call of boto3 is told, and tells: the answer to read instead of sending, what was sent."""

    answer: _Answer | None = None
    sent: AWSPreparedRequest | None = None


class FastPut:
    """`put_item` of a client that does not try again itself, which signs with `credentials`.

    Safe to use from several threads, not across a fork.
    """

    def __init__(
        self, client: DynamoDBClient, credentials: Credentials, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._pause = Pause(clock)
        self._thread = _Thread()
        self._pattern: Pattern | None = None
        self._idle: list[HTTPConnection] = []
        events: Any = client.meta.events  # typed as if a handler could answer nothing
        events.register(_EVENT, self._before_send)

    def put_item(self, **parameters: Any) -> None:
        """As the client's, but for what it returns. Raises what the client raises."""
        pattern = self._pattern
        if pattern is None or self._pause.is_on() or not self._is_current(pattern):
            self._by_boto3(parameters)
            return
        answer = self._answer(pattern, body_of(parameters))
        if answer is None:
            self._by_boto3(parameters)
        elif answer.status != _OK:
            # Whatever it is, the next request is boto3's.
            self._pattern = None
            self._thread.answer = answer
            try:
                self._client.put_item(**parameters)
            finally:
                # Should boto3 fail before it would send: the answer is to this request and to no other.
                self._thread.answer = None

    def _is_current(self, pattern: Pattern) -> bool:
        # Renews credentials that are about to end, as boto3 does before it signs.
        return bool(self._credentials.get_frozen_credentials() == pattern.credentials)

    def _by_boto3(self, parameters: Any) -> None:
        self._client.put_item(**parameters)
        sent, self._thread.sent = self._thread.sent, None
        if sent is not None and not get_environ_proxies(sent.url):
            self._pattern = pattern_of(sent, parameters, self._credentials.get_frozen_credentials())

    def _before_send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        """Called by boto3 in place of sending: the answer that is there already, or None."""
        answer, self._thread.answer = self._thread.answer, None
        if answer is None:
            self._thread.sent = request
            return None
        raw = urllib3.HTTPResponse(io.BytesIO(answer.content), preload_content=False)
        return AWSResponse(request.url, answer.status, answer.headers, raw)

    def _answer(self, pattern: Pattern, body: bytes) -> _Answer | None:
        """DynamoDB's answer; None if there is none, or not the one that was sent."""
        try:
            answer = self._sent_and_received(pattern, body)
        except (OSError, HTTPException) as error:
            logger.debug("a row was not put at once; boto3 sends it", error=str(error)[:300])
            if self._pause.note_failure():
                logger.warning("rows are put by boto3 for a while: no answers otherwise", seconds=PAUSE_SECONDS)
            return None
        self._pause.note_success()
        return answer

    def _sent_and_received(self, pattern: Pattern, body: bytes) -> _Answer:
        connection = self._connection(pattern)
        try:
            connection.send(pattern.message(body, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())))
            response = HTTPResponse(connection.sock, method="POST")
            response.begin()
            content = response.read()
            _check(response, content)
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self._idle.append(connection)
        return _Answer(response.status, response.headers, content)

    def _connection(self, pattern: Pattern) -> HTTPConnection:
        """A connection that is not in use. One that its other side has closed is readable."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took the last
                break
            is_same = (connection.host, connection.port) == (pattern.host, pattern.port)
            if is_same and not wait_for_read(connection.sock, timeout=0):
                return connection
            connection.close()
        if pattern.is_tls:
            connection = HTTPSConnection(pattern.host, pattern.port, timeout=CONNECT_SECONDS, context=self._tls)
        else:
            connection = HTTPConnection(pattern.host, pattern.port, timeout=CONNECT_SECONDS)
        connection.connect()
        connection.sock.settimeout(READ_SECONDS)
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Trusts what boto3 trusts."""
        return ssl.create_default_context(cafile=certificate_authorities())


def _check(response: HTTPResponse, content: bytes) -> None:
    """Raises HTTPException for an answer that may have been cut or changed on its way."""
    if not response.chunked and "content-length" not in response.headers:
        raise HTTPException("the answer does not say where it ends")
    checksum = str(zlib.crc32(content))
    if response.headers.get("x-amz-crc32", checksum) != checksum:
        raise HTTPException("the answer's checksum is not that of its bytes")
