"""The benchmark's queue deals every shard once, and again what its holder gave up."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from bench.dealing.machine import EMBED_FROM_QUEUE, VERIFY_SHARDS, queue_definition
from bench.dealing.shard_queue import MAX_RECEIVES, held, make_queue, send_shards, take_shards
from tests.conftest import ROOT


class Sqs:
    """Queues with a visibility that can be shorter than a second, which SQS has not, and dead letters."""

    def __init__(self, visibility: float = 60.0) -> None:
        self.visibility = visibility
        self.waiting: list[list[Any]] = []
        self.dead: list[str] = []
        self.attributes: dict[str, Any] = {}
        self.renewed = 0
        self._lock = threading.Lock()

    def create_queue(self, QueueName: str, Attributes: Any = None) -> Any:
        self.attributes[QueueName] = Attributes
        return {"QueueUrl": f"http://queue/{QueueName}"}

    def send_message_batch(self, QueueUrl: str, Entries: Any) -> Any:
        assert len(Entries) <= 10
        self.waiting += [[entry["MessageBody"], 0.0, 0] for entry in Entries]
        return {}

    def receive_message(self, QueueUrl: str, **_: Any) -> Any:
        with self._lock:
            for message in self.waiting:
                if message[1] <= time.monotonic():
                    message[1], message[2] = time.monotonic() + self.visibility, message[2] + 1
                    if message[2] > MAX_RECEIVES:
                        self.waiting.remove(message)
                        self.dead.append(message[0])
                        continue
                    return {"Messages": [{"Body": message[0], "ReceiptHandle": message[0]}]}
        return {}

    def change_message_visibility(self, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:
        self.renewed += 1
        for message in self.waiting:
            if message[0] == ReceiptHandle:
                message[1] = time.monotonic() + self.visibility

    def delete_message(self, QueueUrl: str, ReceiptHandle: str) -> None:
        self.waiting = [message for message in self.waiting if message[0] != ReceiptHandle]

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: Any) -> Any:
        if AttributeNames == ["QueueArn"]:
            return {"Attributes": {"QueueArn": f"arn of {QueueUrl}"}}
        invisible = sum(message[1] > time.monotonic() for message in self.waiting)
        counts = (len(self.waiting) - invisible, invisible)
        return {"Attributes": dict(zip(AttributeNames, map(str, counts), strict=True))}


def test_every_shard_is_dealt_once_and_the_end_is_when_none_is_left() -> None:
    sqs = Sqs()
    uris = [f"shard {number}" for number in range(25)]
    send_shards(sqs, "queue", uris)
    asked = iter([False, True])
    seen = []
    for uri, receipt in take_shards(sqs, "queue", lambda: next(asked)):
        with held(sqs, "queue", receipt):
            seen.append(uri)
    assert seen == uris
    assert next(asked, None) is None, "it ends only when all is dealt"


def test_a_shard_in_other_hands_is_waited_for_and_taken_when_it_comes_back() -> None:
    sqs = Sqs(visibility=0.2)
    send_shards(sqs, "queue", ["one"])
    assert sqs.receive_message("queue")["Messages"], "somebody takes it, and dies"
    taken = []
    for uri, receipt in take_shards(sqs, "queue", lambda: True):
        taken.append(uri)
        sqs.delete_message("queue", receipt)
    assert taken == ["one"]


def test_what_is_worked_on_for_longer_stays_invisible() -> None:
    sqs = Sqs(visibility=0.3)
    send_shards(sqs, "queue", ["one"])
    ((_, receipt),) = [next(take_shards(sqs, "queue", lambda: True))]
    with held(sqs, "queue", receipt, seconds=0.1):
        time.sleep(0.8)
        assert not sqs.receive_message("queue")
    assert sqs.renewed >= 3
    assert not sqs.waiting


def test_a_shard_that_fails_is_dealt_again_and_becomes_a_dead_letter() -> None:
    sqs = Sqs(visibility=0.01)
    send_shards(sqs, "queue", ["bad", "good"])
    tried = []
    for uri, receipt in take_shards(sqs, "queue", lambda: True):
        tried.append(uri)
        try:
            with held(sqs, "queue", receipt):
                assert uri == "good"
        except AssertionError:
            time.sleep(0.02)
    assert (sorted(tried), sqs.dead) == (["bad"] * MAX_RECEIVES + ["good"], ["bad"])


def test_the_queue_has_one_for_dead_letters() -> None:
    sqs = Sqs()
    assert make_queue(sqs, "shards") == "http://queue/shards"
    redrive = json.loads(sqs.attributes["shards"]["RedrivePolicy"])
    assert redrive == {"deadLetterTargetArn": "arn of http://queue/shards-dead", "maxReceiveCount": MAX_RECEIVES}


def test_the_queues_machine_is_the_products_but_for_the_jobs() -> None:
    product = json.loads((ROOT / "statemachine" / "embed_images.asl.json").read_text())
    changed = queue_definition(product, "http://queue", "work", 2)
    assert "EmbedShard" in product["States"][VERIFY_SHARDS]["ItemProcessor"]["States"], "the product's is left alone"
    map_state = changed["States"][VERIFY_SHARDS]
    assert map_state["ItemProcessor"]["StartAt"] == "VerifyShard"
    states = product["States"][VERIFY_SHARDS]["ItemProcessor"]["States"]
    assert map_state["ItemProcessor"]["States"] == {
        name: state for name, state in states.items() if name != "EmbedShard"
    }
    new = {EMBED_FROM_QUEUE, "ChooseIndexes", "SetIndexes"}
    assert changed["States"].keys() - product["States"].keys() == new
    same = product["States"].keys() - {VERIFY_SHARDS, "ConfigureMap"}
    assert all(changed["States"][name] == product["States"][name] for name in same)


@pytest.mark.parametrize("failed", [[{"Id": "3"}]])
def test_a_shard_that_sqs_refuses_is_an_error(failed: Any) -> None:
    class Refusing(Sqs):
        def send_message_batch(self, QueueUrl: str, Entries: Any) -> Any:
            return {"Failed": failed}

    with pytest.raises(RuntimeError, match="SQS refused"):
        send_shards(Refusing(), "queue", ["one"])
