"""Decides by a seed which request a fault gets, and counts what was done."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from resilience.faults.calls import BATCH_WRITE, PUT_ITEM, Call
from resilience.faults.proxy import Exchange


class Fault(Protocol):
    """One kind of fault."""

    @property
    def kind(self) -> str:
        """Its name."""
        ...

    def applies(self, call: Call) -> bool:
        """Whether this call can have the fault."""
        ...

    def inject(self, exchange: Exchange, draw: float, done: Done) -> None:
        """Answer the client, or break its connection.

        `draw` is a number from 0 to 1, the seed's. `done` is called once the fault is there: only that counts.
        """
        ...


class Done(Protocol):
    """Counts the injection at hand."""

    def __call__(self, images: Iterable[str] = ()) -> None:
        """`images` are those affected."""
        ...


class Ledger:
    """Injections and images affected, by kind. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.injections: Counter[str] = Counter()
        self.images: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, kind: str, images: Iterable[str] = ()) -> None:
        """One injection more."""
        with self._lock:
            self.injections[kind] += 1
            self.images[kind].update(images)


@dataclass(frozen=True, slots=True)
class Armed:
    """A fault, and the share of the calls that get it. The `first` ones get it for sure, whatever is drawn."""

    fault: Fault
    rate: float
    first: int = 0


class Draws:
    """Numbers from 0 to 1 that follow from a seed and what is drawn for, whatever thread asks first."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._times: Counter[str] = Counter()

    def next(self, subject: str) -> tuple[float, float]:
        """Two numbers for this time that `subject` comes: the same ones in each run of the seed."""
        with self._lock:
            self._times[subject] += 1
            time = self._times[subject]
        digest = hashlib.sha256(f"{self._seed}/{subject}/{time}".encode("utf-8", "surrogatepass")).digest()
        return (
            int.from_bytes(digest[:8], "big") / 2**64,
            int.from_bytes(digest[8:16], "big") / 2**64,
        )


class Injector:
    """Handles the proxy's exchanges: the faults that are armed, and a record of the rows that were written.

    `rows_sent` counts the rows on their way to DynamoDB, those that are sent again included.
    """

    def __init__(self, seed: int, ledger: Ledger) -> None:
        self._draws = Draws(seed)
        self._ledger = ledger
        self._lock = threading.Lock()
        self._armed: Sequence[Armed] = ()
        self._first: Counter[str] = Counter()
        self._written: Counter[str] = Counter()
        self.rows_sent = 0

    def arm(self, armed: Sequence[Armed]) -> None:
        """From now on these faults, and no others."""
        self._first = Counter({part.fault.kind: part.first for part in armed})
        self._armed = tuple(armed)

    def disarm(self) -> None:
        """From now on none."""
        self._armed = ()

    def take_written(self) -> Counter[str]:
        """How often each row was sent to DynamoDB since the last call of this method."""
        with self._lock:
            written, self._written = self._written, Counter()
        return written

    def handle(self, exchange: Exchange) -> None:
        """Let a fault have the exchange, or pass it on."""
        call = exchange.call
        if call.operation in (BATCH_WRITE, PUT_ITEM):
            with self._lock:
                self._written.update(call.images)
                self.rows_sent += len(call.images)
        for armed in self._armed:
            if not armed.fault.applies(call):
                continue
            chance, draw = self._draws.next(f"{armed.fault.kind} {call.subject}")
            if chance < armed.rate or self._is_first(armed.fault.kind):
                self._inject(armed.fault, exchange, draw)
                return
        exchange.answer(exchange.forward())

    def _is_first(self, kind: str) -> bool:
        with self._lock:
            self._first[kind] -= 1
            return self._first[kind] >= 0

    def _inject(self, fault: Fault, exchange: Exchange, draw: float) -> None:
        def done(images: Iterable[str] = ()) -> None:
            self._ledger.add(fault.kind, images)

        fault.inject(exchange, draw, done)
