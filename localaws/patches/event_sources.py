"""Patches of queues, and of the event source mappings by which they invoke functions."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any, Final

from moto.awslambda.models import LambdaBackend
from moto.core.exceptions import JsonRESTError
from moto.sqs.models import Queue, sqs_backends

from localaws.functions.event_source import (
    MappingRefusedError,
    MappingSettings,
    check_mapping,
    record_bytes,
    start_polling,
)
from localaws.functions.pool import Function
from localaws.patches.functions import read_function
from localaws.patches.running import current


class MotoQueue:
    """moto's queue, as a mapping polls it (`localaws.functions.event_source.SourceQueue`)."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self.arn: str = queue.queue_arn
        self.visibility_seconds = float(queue.visibility_timeout)

    def wait(self, seconds: float) -> bool:
        """Waits, at most `seconds`, for a visible message; whether there is one."""
        self._queue.wait_for_messages(seconds)
        return bool(self._queue.messages)

    def receive(self, limit: int, room: int) -> tuple[list[dict[str, Any]], bool]:
        """Up to `limit` messages of `room` bytes together, and whether that was all that fits.

        A message that was received too often becomes a dead letter instead.
        """
        queue = self._queue
        taken: list[Any] = []
        dead: list[Any] = []
        max_receives = (queue.redrive_policy or {}).get("maxReceiveCount")
        is_full = False
        with queue._messages_lock:
            for message in queue.messages:
                if max_receives and queue.dead_letter_queue and message.approximate_receive_count >= max_receives:
                    dead.append(message)
                    continue
                room -= record_bytes(message.body)
                if len(taken) == limit or room < 0:
                    is_full = True
                    break
                message.mark_received(visibility_timeout=queue.visibility_timeout)
                taken.append(message)
            gone = {id(message) for message in dead}
            queue._messages = [message for message in queue._messages if id(message) not in gone]
        for message in dead:
            queue.dead_letter_queue.add_message(message)
        return [self._record(message) for message in taken], is_full or len(taken) == limit

    def delete(self, message_ids: Set[str]) -> None:
        """Takes these messages out."""
        queue = self._queue
        with queue._messages_lock:
            done = [message for message in queue._messages if message.id in message_ids]
            queue._messages = [message for message in queue._messages if message.id not in message_ids]
            for message in done:
                queue.deleted_messages.update(message.all_receipt_handles)

    def _record(self, message: Any) -> dict[str, Any]:
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
            "eventSourceARN": self.arn,
            "awsRegion": self._queue.region,
        }


class MotoMapping:
    """moto's event source mapping (`localaws.functions.event_source.Mapping`)."""

    def __init__(self, backend: Any, mapping: Any) -> None:
        self._backend = backend
        self._mapping = mapping

    def settings(self) -> MappingSettings | None:
        """None when it was deleted."""
        mapping = self._mapping
        if mapping.uuid not in self._backend._event_source_mappings:
            return None
        return MappingSettings(
            name=mapping.uuid,
            queue_arn=mapping.event_source_arn,
            batch_size=mapping.batch_size,
            window_seconds=int(mapping.max_batch_window or 0),
            reports_failures="ReportBatchItemFailures" in (mapping.function_response_types or []),
            is_enabled=bool(mapping.enabled),
        )

    def queue(self) -> MotoQueue | None:
        """None when there is none."""
        return _find_queue(self._backend, self._mapping.event_source_arn)

    def function(self) -> Function:
        """The function that it invokes."""
        return read_function(self._backend.get_function(self._mapping.function_arn))


def _find_queue(backend: Any, arn: str) -> MotoQueue | None:
    queue = sqs_backends[backend.account_id][backend.region_name].queues.get(arn.rsplit(":", 1)[-1])
    return MotoQueue(queue) if queue is not None else None


def poll_queues() -> None:
    """moto invokes at once, message by message, in the sender's thread: no window, no partial answers, no IAM."""
    create = LambdaBackend.create_event_source_mapping

    def create_event_source_mapping(backend: Any, spec: dict[str, Any]) -> Any:
        context, queue_arn = current().context, spec["EventSourceArn"]
        try:
            check_mapping(
                context,
                read_function(backend.get_function(spec["FunctionName"])),
                queue_arn,
                _find_queue(backend, queue_arn),
                batch_size=int(spec.get("BatchSize") or 0),
                window_seconds=int(spec.get("MaximumBatchingWindowInSeconds") or 0),
            )
        except MappingRefusedError as refused:
            raise JsonRESTError("InvalidParameterValueException", refused.message) from refused
        mapping = create(backend, spec)
        for queue in sqs_backends[backend.account_id][backend.region_name].queues.values():
            # What makes moto invoke.
            queue.lambda_event_source_mappings.pop(mapping.function_arn, None)
        start_polling(context, current().functions, MotoMapping(backend, mapping))
        return mapping

    LambdaBackend.create_event_source_mapping = create_event_source_mapping


def keep_messages_sent_meanwhile() -> None:
    """moto's DeleteMessage makes a new list of messages: one that is sent in the same moment was lost."""
    original = Queue.delete_message

    def delete_message(queue: Any, receipt_handle: str) -> None:
        with queue._messages_lock:
            original(queue, receipt_handle)

    Queue.delete_message = delete_message


def keep_policies() -> None:
    """moto's SetQueueAttributes takes the queue's policy away where the call does not name it."""
    original = Queue._set_attributes

    def set_attributes(queue: Any, attributes: dict[str, Any], now: float | None = None) -> None:
        if "Policy" not in attributes:
            attributes = {**attributes, "Policy": queue.policy}
        original(queue, attributes, now)

    Queue._set_attributes = set_attributes


PATCHES: Final[dict[str, Callable[[], None]]] = {
    "lambda_event_sources": poll_queues,
    "sqs_delete": keep_messages_sent_meanwhile,
    "sqs_policy": keep_policies,
}
