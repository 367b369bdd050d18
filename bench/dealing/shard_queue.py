"""Shards in a queue of SQS: sent ten at a time, received one by one, kept invisible while worked on, then deleted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from stepvec.pacing import batches

SENT_AT_ONCE: Final = 10
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""
VISIBILITY_SECONDS: Final = 30
RENEWALS: Final = 3
"""Times that a message's visibility is renewed within VISIBILITY_SECONDS: two renewals may fail."""
MAX_RECEIVES: Final = 3
"""Times that a shard is handed out before it becomes a dead letter."""
WAIT_SECONDS: Final = 1
"""Of one ReceiveMessage. 20 would be cheaper; here it would be the end of each run."""
_COUNTS: Final = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


def make_queue(sqs: Any, name: str) -> str:
    """The URL of a new queue with a queue for its dead letters."""
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVES})
    attributes = {"VisibilityTimeout": str(VISIBILITY_SECONDS), "RedrivePolicy": redrive}
    return str(sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])


def send_shards(sqs: Any, queue: str, uris: Sequence[str]) -> None:
    """Put shards into the queue. Raises RuntimeError where SQS refuses one."""
    for batch in batches(uris, SENT_AT_ONCE):
        entries = [{"Id": str(number), "MessageBody": uri} for number, uri in enumerate(batch)]
        if refused := sqs.send_message_batch(QueueUrl=queue, Entries=entries).get("Failed"):
            raise RuntimeError(f"SQS refused {refused}")


def take_shards(sqs: Any, queue: str, is_dealt: Callable[[], bool]) -> Iterator[tuple[str, str]]:
    """Shards and their receipts, until the queue is empty and `is_dealt` says that no more will come."""
    while True:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=1, WaitTimeSeconds=WAIT_SECONDS)
        for message in answer.get("Messages", ()):
            yield message["Body"], message["ReceiptHandle"]
        if not answer.get("Messages") and is_dealt() and not _left(sqs, queue):
            return


def _left(sqs: Any, queue: str) -> int:
    """Messages waiting, and in other hands: those come back if their holder dies."""
    counts = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=list(_COUNTS))["Attributes"]
    return sum(int(counts[name]) for name in _COUNTS)


@contextmanager
def held(sqs: Any, queue: str, receipt: str, *, seconds: float = VISIBILITY_SECONDS / RENEWALS) -> Iterator[None]:
    """Keeps a message invisible to others until the block is left; then deletes it, unless the block raised."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(seconds):
            sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=receipt, VisibilityTimeout=VISIBILITY_SECONDS)

    thread = threading.Thread(target=renew, name="renew", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=receipt)
