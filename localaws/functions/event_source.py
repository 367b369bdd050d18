"""Event source mappings of queues: batches of messages, partial answers, dead letters.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Set
from dataclasses import dataclass
from typing import Any, Final, Protocol

from localaws.context import Context
from localaws.errors import LocalCloudError
from localaws.functions.pool import ConcurrencyExceededError, Function, LambdaPool
from localaws.functions.runtime import InvocationResult
from localaws.iam.authorizer import AccessDenied

_ACTIONS: Final = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
_UNWINDOWED_BATCH: Final = 10
"""The largest batch without a window. https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html"""
_PAYLOAD_BYTES: Final = 6 * 1024 * 1024
_ENVELOPE_BYTES: Final = 800
"""What a record has beside its body, measured on `SourceQueue.receive`, rounded up."""
_CHECK_SECONDS: Final = 0.1
_LOGGER: Final = logging.getLogger(__name__)


class MappingRefusedError(LocalCloudError):
    """AWS would not create this mapping: InvalidParameterValueException with this message."""


class SourceQueue(Protocol):
    """A queue, as a mapping polls it."""

    arn: str
    visibility_seconds: float

    def wait(self, seconds: float) -> bool:
        """Waits, at most `seconds`, for a visible message; whether there is one."""

    def receive(self, limit: int, room: int) -> tuple[list[dict[str, Any]], bool]:
        """Up to `limit` messages of `room` bytes together (`record_bytes`), and whether that was all that fits.

        Each is a record as the function sees it. A message that was received too often becomes a dead letter instead.
        """

    def delete(self, message_ids: Set[str]) -> None:
        """Takes these messages out."""


@dataclass(frozen=True, slots=True)
class MappingSettings:
    """What a mapping is set to."""

    name: str
    queue_arn: str
    batch_size: int
    window_seconds: int
    reports_failures: bool
    is_enabled: bool


class Mapping(Protocol):
    """A mapping, its function and its queue, as they are now."""

    def settings(self) -> MappingSettings | None:
        """None when it was deleted."""

    def queue(self) -> SourceQueue | None:
        """None when there is none."""

    def function(self) -> Function:
        """The function that it invokes."""


def check_mapping(
    context: Context,
    function: Function,
    queue_arn: str,
    queue: SourceQueue | None,
    batch_size: int,
    window_seconds: int,
) -> None:
    """What AWS checks when a mapping is created. Raises MappingRefusedError."""
    for action in _ACTIONS:
        try:
            context.authorizer.require(function.role, action, queue_arn)
        except AccessDenied as denied:
            name = action.split(":")[1]
            raise MappingRefusedError(
                f"The provided execution role does not have permissions to call {name} on SQS",
                remedy="Grant it to the function's role.",
            ) from denied
    if batch_size > _UNWINDOWED_BATCH and not window_seconds:
        raise MappingRefusedError(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
            remedy="Set MaximumBatchingWindowInSeconds.",
        )
    if queue is not None and queue.visibility_seconds < function.timeout_seconds:
        raise MappingRefusedError(
            f"Queue visibility timeout: {queue.visibility_seconds:.0f} seconds is less than "
            f"Function timeout: {function.timeout_seconds:.0f} seconds",
            remedy="Raise the queue's visibility timeout.",
        )


def record_bytes(body: str) -> int:
    """How much of the payload a message takes."""
    return len(json.dumps(body)) + _ENVELOPE_BYTES


def start_polling(context: Context, pool: LambdaPool, mapping: Mapping) -> None:
    """Polls for `mapping` in a thread of its own, until it is deleted or the embedded AWS is closed."""
    threading.Thread(target=_Poller(context, pool, mapping).run, name="event-source", daemon=True).start()


class _Poller:
    """Gathers batches of one queue's messages and invokes the function, one batch at a time."""

    def __init__(self, context: Context, pool: LambdaPool, mapping: Mapping) -> None:
        self._context = context
        self._pool = pool
        self._mapping = mapping

    def run(self) -> None:
        """Polls to the end."""
        while (settings := self._settings()) is not None:
            queue = self._mapping.queue()
            if not settings.is_enabled or queue is None or not self._may_poll(queue):
                self._context.closing.wait(_CHECK_SECONDS)
                continue
            try:
                self._deliver(settings, queue, self._gather(settings, queue))
            except Exception:
                # Last frame of the thread: the mapping must go on, as on AWS.
                if self._settings() is not None:
                    _LOGGER.exception("event source mapping %s", settings.name)
                    self._context.closing.wait(_CHECK_SECONDS)

    def _settings(self) -> MappingSettings | None:
        return None if self._context.closing.is_set() else self._mapping.settings()

    def _may_poll(self, queue: SourceQueue) -> bool:
        if not queue.wait(_CHECK_SECONDS) or self._settings() is None:
            return False
        role = self._mapping.function().role
        return all(self._context.authorizer.role_may(role, action, queue.arn) for action in _ACTIONS)

    def _gather(self, settings: MappingSettings, queue: SourceQueue) -> list[dict[str, Any]]:
        """Records until the batch is full, or the window over that the first began."""
        records: list[dict[str, Any]] = []
        room, is_full = _PAYLOAD_BYTES, False
        end = time.monotonic() + settings.window_seconds
        while not is_full and self._settings() is not None:
            taken, is_full = queue.receive(settings.batch_size - len(records), room)
            room -= sum(record_bytes(record["body"]) for record in taken)
            records += taken
            left = end - time.monotonic()
            if left <= 0:
                break
            if not is_full:
                queue.wait(min(left, _CHECK_SECONDS))
        return records

    def _deliver(self, settings: MappingSettings, queue: SourceQueue, records: list[dict[str, Any]]) -> None:
        if not records or self._settings() is None:
            return
        try:
            result = self._pool.invoke(self._mapping.function(), {"Records": records})
        except ConcurrencyExceededError:
            # The messages come again when their visibility timeout is over, as on AWS.
            return
        ids = {record["messageId"] for record in records}
        queue.delete(ids - _failed(result, ids, reports_failures=settings.reports_failures))


def _failed(result: InvocationResult, ids: set[str], *, reports_failures: bool) -> set[str]:
    """Which messages come again: all after an error or an answer that AWS cannot read, else those it names."""
    if result.failed:
        return ids
    if not reports_failures:
        return set()
    try:
        answer = json.loads(result.payload) or {}
        failed = {failure["itemIdentifier"] for failure in answer.get("batchItemFailures") or []}
    except (ValueError, KeyError, TypeError, AttributeError):
        return ids
    return failed if failed <= ids else ids
