"""What supervisor and embedding processes tell each other arrives whole, also in pieces and in spite of odd keys."""

from __future__ import annotations

import os
import threading

import pytest
from stepvec_worker.processes.messages import (
    Acknowledged,
    Crashed,
    Ended,
    Failed,
    Finish,
    Message,
    ProcessProgress,
    ProcessUsage,
    Ready,
    Receiver,
    Sender,
    Stop,
    Uniform,
    Wanted,
    from_line,
    to_line,
)
from stepvec_worker.storage.shard_file import Lease

from stepvec.errors import RecordError
from stepvec.runs.outcome import FailureReason, ImageFailure
from stepvec.runs.reports import StageSeconds

FAILURE = ImageFailure("a\nb/\ud800.jpg", "日本", FailureReason.TOO_LARGE, "'\"")
MESSAGES: list[Message] = [
    Lease(3, 100, 25, 4_000, 900, (101, 107), is_quarantined=True),
    Finish(),
    Stop(),
    Wanted(),
    Ready("mxnet float32"),
    ProcessProgress(1, 2, 3),
    ProcessUsage(StageSeconds(0.1, 0.2, 0.3, 4), 5, 6.5, 7.5, 8),
    Uniform(7, counts=True),
    Acknowledged(3, 97, 2, (FAILURE,)),
    Failed("StorageError", "S3 is away.", "Wait."),
    Crashed("ZeroDivisionError: a bug"),
    Ended(),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_one_line_and_the_same_again(message: Message) -> None:
    line = to_line(message)
    assert line.count(b"\n") == 1
    assert from_line(line) == message


def test_messages_arrive_whole_and_in_order_however_the_pipe_cuts_them() -> None:
    reading, writing = os.pipe()
    receiver, data = Receiver(reading), b"".join(map(to_line, MESSAGES))
    received: list[Message] = []
    for start in range(0, len(data), 7):
        os.write(writing, data[start : start + 7])
        received += receiver.receive()
    assert not receiver.is_closed
    os.write(writing, to_line(Ended())[:-3])
    os.close(writing)
    # A process that dies in the middle of a message has not said it.
    assert received + receiver.receive() == MESSAGES
    assert receiver.is_closed
    receiver.close()


def test_a_message_larger_than_the_pipe_waits_for_its_reader() -> None:
    reading, writing = os.pipe()
    large = Acknowledged(1, 0, 0, (FAILURE,) * 3_000)
    assert len(to_line(large)) > 4 * 65_536

    def send() -> None:
        sender = Sender(writing)
        sender.send(large)
        sender.close()

    thread = threading.Thread(target=send)
    thread.start()
    receiver, received = Receiver(reading), list[Message]()
    while not receiver.is_closed:
        received += receiver.receive()
    thread.join()
    receiver.close()
    assert received == [large]


@pytest.mark.parametrize("line", [b'["Ready",{}]', b'["Ready",{"running":3}]', b'["Wanted",{"more":1}]'])
def test_a_line_that_holds_no_message_is_an_error(line: bytes) -> None:
    with pytest.raises(RecordError, match="A message"):
        from_line(line)
