"""What the supervisor and its embedding processes tell each other: JSON Lines in pipes, a line `["Name", {fields}]`.

JSON and not pickle: what decodes hostile images must not be able to hand code to the supervisor.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from typing import Final, get_args

from stepvec import codec
from stepvec.runs.outcome import ImageFailure
from stepvec.runs.reports import StageSeconds
from stepvec_worker.storage.shard_file import Lease

_READ_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Finish:
    """To a process: no more leases. Store what is in hand and end."""


@dataclass(frozen=True, slots=True)
class Stop:
    """To a process: begin nothing more. Store what is begun and end."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """From a process: it can take another lease."""


@dataclass(frozen=True, slots=True)
class Ready:
    """From a process: its model is loaded; `running` is what its engine really runs."""

    running: str


@dataclass(frozen=True, slots=True)
class ProcessProgress:
    """From a process: outcomes so far in the chunks that it has not acknowledged."""

    embedded: int
    unchanged: int
    failed: int


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """From a process: what it took so far, since it began; `peak_memory_mb` is its largest RSS.

    `index_puts` and `index_bytes` are its PutVectors requests and what they are charged for.
    """

    stages: StageSeconds
    downloaded_bytes: int
    write_units: float
    read_units: float
    peak_memory_mb: int
    index_puts: int = 0
    index_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Uniform:
    """From a process: the image in this line has one colour only. `counts` is False once its row was refused."""

    line: int
    counts: bool


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """From a process: each image of the chunk (except those skipped) has its outcome, and the rows are stored."""

    chunk: int
    embedded: int
    unchanged: int
    failures: tuple[ImageFailure, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """From a process: an error that is not an image's. `kind` names a class of stepvec.errors, or "" for any other."""

    kind: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Crashed:
    """From a process, its last message: an error that ends it while it has images in hand, as Python names it."""

    message: str


@dataclass(frozen=True, slots=True)
class Ended:
    """From a process, its last message: all that it had in hand is stored."""


ToProcess = Lease | Finish | Stop
FromProcess = Wanted | Ready | ProcessProgress | ProcessUsage | Uniform | Acknowledged | Failed | Crashed | Ended
Message = ToProcess | FromProcess

_TYPES: Final[dict[str, type[Message]]] = {kind.__name__: kind for kind in get_args(Message)}


def to_line(message: Message) -> bytes:
    """The message as one line, ASCII: keys may hold what UTF-8 cannot (lone surrogates)."""
    return json.dumps([type(message).__name__, codec.to_document(message)], separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> Message:
    """The message in one line. Raises RecordError for a line that holds none."""
    name, document = codec.from_document(tuple[str, dict], json.loads(line), where="A message")  # type: ignore[type-arg]
    return codec.from_document(_TYPES[name], document, where=f"A message {name}")


class Sender:
    """The writing end of a pipe. Thread-safe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Write the message, blocking while the pipe is full. Raises BrokenPipeError when its reader is gone."""
        line = memoryview(to_line(message))
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._descriptor)


class Receiver:
    """The reading end of a pipe; it never blocks: a message that has arrived in part stays for the next call."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.is_closed = False
        self._rest = b""

    def receive(self) -> list[Message]:
        """The messages that have arrived. `is_closed` turns true when the other side has closed the pipe or died."""
        pieces = [self._rest]
        while not self.is_closed:
            try:
                piece = os.read(self.descriptor, _READ_BYTES)
            except BlockingIOError:
                break
            self.is_closed = not piece
            pieces.append(piece)
        *lines, self._rest = b"".join(pieces).split(b"\n")
        return [from_line(line) for line in lines]

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.descriptor)
