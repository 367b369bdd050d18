"""Event source mappings of queues: batches of messages, partial answers, dead letters.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from moto.core.exceptions import JsonRESTError
from moto.sqs.models import sqs_backends

from localaws.context import Context
from localaws.functions.runtime import Outcome
from localaws.iam.authorizer import AccessDenied

_ACTIONS: Final = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
_UNWINDOWED_BATCH: Final = 10
"""The largest batch without a window. https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html"""
_PAYLOAD_BYTES: Final = 6 * 1024 * 1024
_ENVELOPE_BYTES: Final = 800
"""What a record has beside its body, measured on `_record`, rounded up."""
_CHECK_SECONDS: Final = 0.1
_LOGGER: Final = logging.getLogger(__name__)


def check_mapping(context: Context, function: Any, spec: Mapping[str, Any]) -> None:
    """What AWS checks when a mapping is created. Raises moto's error of that name."""
    arn = spec["EventSourceArn"]
    for action in _ACTIONS:
        try:
            context.authorizer.require(function.role, action, arn)
        except AccessDenied as denied:
            name = action.split(":")[1]
            message = f"The provided execution role does not have permissions to call {name} on SQS"
            raise JsonRESTError("InvalidParameterValueException", message) from denied
    if int(spec.get("BatchSize") or 0) > _UNWINDOWED_BATCH and not spec.get("MaximumBatchingWindowInSeconds"):
        message = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        raise JsonRESTError("InvalidParameterValueException", message)
    queue = _find_queue(context, arn)
    if queue is not None and queue.visibility_timeout < function.timeout:
        message = (
            f"Queue visibility timeout: {queue.visibility_timeout} seconds is less than "
            f"Function timeout: {function.timeout} seconds"
        )
        raise JsonRESTError("InvalidParameterValueException", message)


def start_polling(context: Context, backend: Any, mapping: Any) -> None:
    """Polls for moto's `mapping` in a thread of its own, until it is deleted or the embedded AWS is closed."""
    poller = _Poller(context, backend, mapping)
    threading.Thread(target=poller.run, name=f"event-source-{mapping.uuid}", daemon=True).start()


def _find_queue(context: Context, arn: str) -> Any:
    return sqs_backends[context.account][context.region].queues.get(arn.rsplit(":", 1)[-1])


class _Poller:
    """Gathers batches of one queue's messages and invokes the function, one batch at a time."""

    def __init__(self, context: Context, backend: Any, mapping: Any) -> None:
        self._context = context
        self._backend = backend
        self._mapping = mapping

    def run(self) -> None:
        """Polls to the end."""
        while not self._is_over():
            queue = _find_queue(self._context, self._mapping.event_source_arn)
            if not self._mapping.enabled or queue is None or not self._may_poll(queue):
                self._context.closing.wait(_CHECK_SECONDS)
                continue
            try:
                self._deliver(queue, self._gather(queue))
            except Exception:
                # The thread's last frame: the mapping must go on, as AWS's does.
                if not self._is_over():
                    _LOGGER.exception("event source mapping %s", self._mapping.uuid)
                    self._context.closing.wait(_CHECK_SECONDS)

    def _is_over(self) -> bool:
        return self._context.closing.is_set() or self._mapping.uuid not in self._backend._event_source_mappings

    def _may_poll(self, queue: Any) -> bool:
        queue.wait_for_messages(_CHECK_SECONDS)
        if not queue.messages or self._is_over():
            return False
        role = self._backend.get_function(self._mapping.function_arn).role
        return all(self._context.authorizer.role_may(role, action, queue.queue_arn) for action in _ACTIONS)

    def _gather(self, queue: Any) -> list[dict[str, Any]]:
        """Messages as the function sees them: until the batch is full, or the window over that the first began."""
        records: list[dict[str, Any]] = []
        room, is_full = _PAYLOAD_BYTES, False
        end = time.monotonic() + int(self._mapping.max_batch_window or 0)
        while not is_full and not self._is_over():
            taken, is_full = _receive(queue, self._mapping.batch_size - len(records), room)
            room -= sum(map(_size, taken))
            records += [_record(message, queue) for message in taken]
            left = end - time.monotonic()
            if left <= 0:
                break
            if not is_full:
                queue.wait_for_messages(min(left, _CHECK_SECONDS))
        return records

    def _deliver(self, queue: Any, records: list[dict[str, Any]]) -> None:
        pool = self._context.lambda_pool
        if not records or pool is None or self._is_over():
            return
        outcome = pool.invoke(self._backend.get_function(self._mapping.function_arn), {"Records": records})
        reports = "ReportBatchItemFailures" in (self._mapping.function_response_types or [])
        ids = {record["messageId"] for record in records}
        _delete(queue, ids - _failed(outcome, ids, reports=reports))


def _receive(queue: Any, limit: int, room: int) -> tuple[list[Any], bool]:
    """Up to `limit` visible messages of `room` bytes together, and whether that was all that fits.

    A message that was received too often becomes a dead letter instead.
    """
    taken: list[Any] = []
    dead: list[Any] = []
    most = (queue.redrive_policy or {}).get("maxReceiveCount")
    is_full = False
    with queue._messages_lock:
        for message in queue.messages:
            if most and queue.dead_letter_queue and message.approximate_receive_count >= most:
                dead.append(message)
                continue
            room -= _size(message)
            if len(taken) == limit or room < 0:
                is_full = True
                break
            message.mark_received(visibility_timeout=queue.visibility_timeout)
            taken.append(message)
        gone = {id(message) for message in dead}
        queue._messages = [message for message in queue._messages if id(message) not in gone]
    for message in dead:
        queue.dead_letter_queue.add_message(message)
    return taken, is_full or len(taken) == limit


def _size(message: Any) -> int:
    return len(json.dumps(message.body)) + _ENVELOPE_BYTES


def _delete(queue: Any, ids: set[str]) -> None:
    with queue._messages_lock:
        done = [message for message in queue._messages if message.id in ids]
        queue._messages = [message for message in queue._messages if message.id not in ids]
        for message in done:
            queue.deleted_messages.update(message.all_receipt_handles)


def _failed(outcome: Outcome, ids: set[str], *, reports: bool) -> set[str]:
    """Which messages come again: all after an error or an answer that AWS cannot read, else those it names."""
    if outcome.failed:
        return ids
    if not reports:
        return set()
    try:
        answer = json.loads(outcome.payload) or {}
        failed = {failure["itemIdentifier"] for failure in answer.get("batchItemFailures") or []}
    except (ValueError, KeyError, TypeError, AttributeError):
        return ids
    return failed if failed <= ids else ids


def _record(message: Any, queue: Any) -> dict[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.approximate_receive_count),
            "SentTimestamp": str(message.sent_timestamp),
            "SenderId": message.sender_id,
            "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
        },
        "messageAttributes": {},
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.queue_arn,
        "awsRegion": queue.region,
    }
