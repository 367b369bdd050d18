"""Faults of the network and of the services, as a client sees them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from resilience.faults.aws_errors import rest_json_error
from resilience.faults.calls import BATCH_GET, BATCH_WRITE, PUT_VECTORS, Call, row_ids
from resilience.faults.injector import Done
from resilience.faults.proxy import Exchange
from stepvec.rows.item import PARTITION_KEY
from testkit.http_messages import Message

SLOW_BYTES_A_SECOND: Final = 1024
SLOW_SECONDS: Final = 2.0
"""A body is slow for so long at the most; then the rest comes at once."""

Matches = Callable[[Call], bool]


def is_ours(call: Call) -> bool:
    """Whether a function or a job makes the call.

    The state machine's own reading of shards.json is left alone: how Step Functions retries it is its own affair.
    """
    return call.is_from_worker or call.is_from_function


def s3_call(call: Call) -> bool:
    """Any request of ours to S3."""
    return call.service == "s3" and is_ours(call)


def s3_read(call: Call) -> bool:
    """A request of ours that gets a body."""
    return call.operation == "GetObject" and is_ours(call)


def s3_write(call: Call) -> bool:
    """A request of ours that stores a file of a run."""
    return call.operation == "PutObject" and is_ours(call)


def is_submit(call: Call) -> bool:
    """The state machine submits a job."""
    return call.operation == "SubmitJob"


def image_read(call: Call) -> bool:
    """The worker reads an image, not a file of the run."""
    return s3_read(call) and call.is_from_worker and not call.key.startswith("runs/")


def dynamodb_call(call: Call) -> bool:
    """Any request of ours to DynamoDB."""
    return call.service == "dynamodb" and is_ours(call)


def vectors_call(call: Call) -> bool:
    """Any request of ours to S3 Vectors."""
    return call.service == "s3vectors" and is_ours(call)


def vectors_put(call: Call) -> bool:
    """The worker puts vectors into the index."""
    return call.operation == PUT_VECTORS and call.is_from_worker


def dynamodb_write(call: Call) -> bool:
    """The worker writes rows."""
    return call.service == "dynamodb" and call.is_from_worker and call.operation != BATCH_GET


@dataclass(frozen=True, slots=True)
class Refused:
    """The service answers with an error, and does nothing."""

    kind: str
    applies: Matches
    answer: Callable[[Exchange], Message]

    def inject(self, exchange: Exchange, draw: float, done: Done) -> None:  # noqa: ARG002 - as every fault
        """Answer with the error."""
        done(exchange.call.images)
        exchange.answer(self.answer(exchange))


@dataclass(frozen=True, slots=True)
class AnswerLost:
    """The service does what is asked, and its answer does not arrive: an error or a broken connection does."""

    kind: str
    applies: Matches
    answer: Callable[[Exchange], Message]

    def inject(self, exchange: Exchange, draw: float, done: Done) -> None:
        """Forward, and lose the answer."""
        exchange.forward()
        done(exchange.call.images)
        if draw < 0.5:
            exchange.reset()
        exchange.answer(self.answer(exchange))


@dataclass(frozen=True, slots=True)
class BrokenBody:
    """A response whose body breaks off by a reset, ends too early, or dribbles."""

    kind: str
    applies: Matches
    how: Literal["reset", "truncated", "slow"]

    def inject(self, exchange: Exchange, draw: float, done: Done) -> None:
        """Give the body as it must not be."""
        response = exchange.forward()
        if response.status != 200 or not response.body:
            exchange.answer(response)
            return
        done(exchange.call.images)
        if self.how == "slow":
            exchange.answer_slowly(response, bytes_a_second=SLOW_BYTES_A_SECOND, seconds=SLOW_SECONDS)
            return
        exchange.answer_partly(response, int(draw * len(response.body)))
        if self.how == "reset":
            exchange.reset()
        exchange.hang_up()


@dataclass(frozen=True, slots=True)
class Unprocessed:
    """DynamoDB does a part of a batch, and gives the rest back."""

    kind: str

    def applies(self, call: Call) -> bool:
        """Batches only."""
        return dynamodb_call(call) and call.operation in (BATCH_WRITE, BATCH_GET)

    def inject(self, exchange: Exchange, draw: float, done: Done) -> None:
        """Leave out one row at the least, all but one at the most (all where there is one)."""
        operation = exchange.call.operation
        document = json.loads(exchange.request.body)
        ((table, asked),) = document["RequestItems"].items()
        rows = asked if operation == BATCH_WRITE else asked["Keys"]
        left = max(1, int(draw * len(rows)))
        done_rows, left_rows = rows[left:], rows[:left]
        done(row_ids(operation, _about(document, table, left_rows)))
        if done_rows:
            body = json.dumps(_about(document, table, done_rows)).encode()
            response = exchange.forward(exchange.request.with_body(body))
        else:
            response = _nothing_done(operation, table)
        if response.status != 200:
            exchange.answer(response)
            return
        answer = json.loads(response.body)
        name = "UnprocessedItems" if operation == BATCH_WRITE else "UnprocessedKeys"
        answer[name] = _about(document, table, left_rows)["RequestItems"]
        exchange.answer(response.with_body(json.dumps(answer).encode()))


class Stale:
    """An eventually consistent read of DynamoDB does not see rows that were just written."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def applies(self, call: Call) -> bool:
        """Reads of batches; `inject` tells which are eventually consistent."""
        return dynamodb_call(call) and call.operation == BATCH_GET

    def inject(self, exchange: Exchange, draw: float, done: Done) -> None:
        """Put what was there before in the place of some of the rows found: of one at the least, of all at the most."""
        ((table, asked),) = json.loads(exchange.request.body)["RequestItems"].items()
        response = exchange.forward()
        if asked.get("ConsistentRead") or response.status != 200:
            exchange.answer(response)
            return
        answer = json.loads(response.body)
        rows = answer["Responses"].get(table, [])
        seen = int(draw * len(rows))
        before = {row[PARTITION_KEY]["S"]: (row, self.before(row)) for row in rows[seen:]}
        if changed := [image_id for image_id, (row, older) in before.items() if older != row]:
            done(changed)
            answer["Responses"][table] = rows[:seen] + [older for _, older in before.values() if older is not None]
        exchange.answer(response.with_body(json.dumps(answer).encode()))

    def before(self, row: Mapping[str, Any]) -> Mapping[str, Any] | None:  # noqa: ARG002 - of OlderRows
        """What stood in this row's place: nothing."""
        return None


class OlderRows(Stale):
    """An eventually consistent read of DynamoDB answers the rows that stood there before: `rows`, by image id.

    What a strongly consistent read sees is the row of now.
    """

    def __init__(self, kind: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(kind)
        self._rows = rows

    def before(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """The row before this one, of which the request asked for some attributes; itself where there was none."""
        older = self._rows.get(row[PARTITION_KEY]["S"], row)
        return {name: value for name, value in older.items() if name in row}


def _about(document: Any, table: str, rows: list[Any]) -> Any:
    """The batch request `document` with these rows alone."""
    asked = document["RequestItems"][table]
    return {**document, "RequestItems": {table: rows if isinstance(asked, list) else {**asked, "Keys": rows}}}


def _nothing_done(operation: str, table: str) -> Message:
    body = json.dumps({} if operation == BATCH_WRITE else {"Responses": {table: []}}).encode()
    return Message(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n\r\n", b"").with_body(body)


class ChangedObject:
    """An object changes before or after the worker reads it: `change` deletes it or writes another one over it."""

    def __init__(self, kind: str, change: Callable[[str], None]) -> None:
        self.kind = kind
        self._change = change
        self._lock = threading.Lock()
        self._changed: set[str] = set()

    def applies(self, call: Call) -> bool:
        """Each image once."""
        return image_read(call) and call.key not in self._changed

    def inject(self, exchange: Exchange, draw: float, done: Done) -> None:
        """Change it, and let the worker read on."""
        key = exchange.call.key
        with self._lock:
            self._changed.add(key)
        response = exchange.forward() if draw >= 0.5 else None
        self._change(key)
        done([key])
        exchange.answer(response or exchange.forward())


@dataclass(frozen=True, slots=True)
class InvokedTwice:
    """A function runs twice for one event: one after the other, or both at once."""

    kind: str

    def applies(self, call: Call) -> bool:
        """Any invocation."""
        return call.operation == "Invoke"

    def inject(self, exchange: Exchange, draw: float, done: Done) -> None:
        """Invoke twice, and give one of the aws_errors."""
        done()
        if draw < 0.5:
            twin = threading.Thread(target=exchange.forward_apart)
            twin.start()
            exchange.answer(exchange.forward())
            twin.join()
        else:
            first = exchange.forward()
            second = exchange.forward()
            exchange.answer(first if draw < 0.75 else second)


@dataclass(frozen=True, slots=True)
class ServiceError:
    """Lambda refuses an invocation, or loses its answer, or says that it failed while the function still runs."""

    kind: str

    def applies(self, call: Call) -> bool:
        """Any invocation."""
        return call.operation == "Invoke"

    def inject(self, exchange: Exchange, draw: float, done: Done) -> None:
        """Answer 429 or 500."""
        done()
        if draw < 0.25:
            exchange.answer(rest_json_error(429, "TooManyRequestsException", "Rate Exceeded."))
            return
        if draw < 0.5:
            exchange.forward()
        elif draw < 0.75:
            threading.Thread(target=exchange.forward_apart, daemon=True).start()
        exchange.answer(rest_json_error(500, "ServiceException", "The Lambda service encountered an internal error."))
