"""Faults of processes: killed, told to stop, out of memory or disk, at a moment that the seed draws.

A moment is a request: the process that makes it is the one that is disrupted. The worker may be one process or a tree
of them, in one process group, as a container is one; nothing here knows which.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

import psutil

from resilience.faults.calls import Call
from resilience.faults.injector import Done, Fault
from resilience.faults.network_faults import image_read, vectors_put
from resilience.faults.proxy import Exchange

_MAX_DELAY_SECONDS: Final = 0.05
_SPARE_BYTES: Final = 1024 * 1024


class NoProcessError(Exception):
    """The process at the other end of a connection is gone."""


GONE: Final = (NoProcessError, ProcessLookupError, psutil.Error)
"""What acting on a process raises if it has just ended."""


def process_at(port: int) -> psutil.Process:
    """The process whose end of a loopback connection is `port`. Raises NoProcessError."""
    for connection in psutil.net_connections("tcp4"):
        if connection.laddr and connection.laddr.port == port and connection.pid:
            return psutil.Process(connection.pid)
    raise NoProcessError(f"no process has port {port}")


def group_of(process: psutil.Process) -> list[psutil.Process]:
    """The processes of its process group, its leader first."""
    group = os.getpgid(process.pid)
    members = []
    for other in psutil.process_iter():
        try:
            if os.getpgid(other.pid) == group:
                members.append(other)
        except ProcessLookupError:
            continue
    return sorted(members, key=lambda member: member.pid != group)


class Disruption(Protocol):
    """What is done to the process that makes a request. Raises one of GONE if it has ended."""

    def __call__(self, process: psutil.Process, draw: float) -> None:
        """Do it."""
        ...


class _AtMoments:
    """A disruption of a worker at the moments of some of `keys`, each once."""

    def __init__(self, kind: str, disrupt: Disruption, keys: list[str]) -> None:
        self.kind = kind
        self._disrupt = disrupt
        self._lock = threading.Lock()
        self._left = set(keys)

    @property
    def is_spent(self) -> bool:
        """Whether every moment has come."""
        return not self._left

    def _take(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that are left, and are not from here on."""
        with self._lock:
            due = self._left.intersection(keys)
            self._left -= due
        return due


class AtImage(_AtMoments):
    """A disruption of a worker when it reads one of the keys."""

    def applies(self, call: Call) -> bool:
        """At the keys that are left."""
        return image_read(call) and call.key in self._left

    def inject(self, exchange: Exchange, draw: float, done: Done) -> None:
        """Disrupt its process within 50 ms, and pass the request on meanwhile."""
        due = self._take([exchange.call.key])
        response = exchange.forward()
        if due:
            time.sleep(draw * _MAX_DELAY_SECONDS)
            try:
                self._disrupt(process_at(exchange.call.port), draw)
                done(list(due))
            except GONE:
                # Another disruption was faster: this moment comes again with the next attempt.
                self._left |= due
        exchange.answer(response)


class AtPut(_AtMoments):
    """A disruption of a worker when it puts the vectors of some of the keys: before they are there, or just after."""

    def applies(self, call: Call) -> bool:
        """At the keys that are left."""
        return vectors_put(call) and not self._left.isdisjoint(call.images)

    def inject(self, exchange: Exchange, draw: float, done: Done) -> None:
        """Disrupt its process; half of the times its vectors are put before that."""
        due = self._take(exchange.call.images)
        if not due:
            exchange.answer(exchange.forward())
            return
        is_put = draw < 0.5
        if is_put:
            exchange.forward()
        try:
            self._disrupt(process_at(exchange.call.port), draw)
            done(exchange.call.images)
        except GONE:
            # Another disruption was faster. What is not there is put again by the next attempt.
            self._left |= set() if is_put else due
        exchange.hang_up()


class AtKeys:
    """Another fault, for the calls about some keys only, each once."""

    def __init__(self, fault: Fault, keys: list[str]) -> None:
        self.kind = fault.kind
        self._fault = fault
        self._left = set(keys)

    @property
    def is_spent(self) -> bool:
        """Whether every key has had its fault."""
        return not self._left

    def applies(self, call: Call) -> bool:
        """At the keys that are left."""
        return not self._left.isdisjoint(call.images) and self._fault.applies(call)

    def inject(self, exchange: Exchange, draw: float, done: Done) -> None:
        """As the other fault."""
        self._left.difference_update(exchange.call.images)
        self._fault.inject(exchange, draw, done)


class AtFunctionCall:
    """A disruption of a Lambda function at its n-th request: `moments` has n by a part of the role's name."""

    def __init__(
        self, kind: str, disrupt: Callable[[Exchange, psutil.Process], None], moments: Mapping[str, int]
    ) -> None:
        self.kind = kind
        self._disrupt = disrupt
        self._lock = threading.Lock()
        self._left = dict(moments)
        self._seen: Counter[str] = Counter()

    @property
    def is_spent(self) -> bool:
        """Whether every moment has come."""
        return not self._left

    def applies(self, call: Call) -> bool:
        """At the n-th call of a function that is left."""
        with self._lock:
            for part, number in self._left.items():
                if part in call.role and call.service in ("s3", "dynamodb"):
                    self._seen[part] += 1
                    return self._seen[part] >= number
        return False

    def inject(self, exchange: Exchange, draw: float, done: Done) -> None:  # noqa: ARG002 - as every fault
        """Disrupt the function's process."""
        with self._lock:
            part = next(part for part in self._left if part in exchange.call.role)
            del self._left[part]
        try:
            process = process_at(exchange.call.port)
        except GONE:
            self._left[part] = 1
            exchange.hang_up()
        done()
        self._disrupt(exchange, process)


def kill_group(process: psutil.Process, draw: float) -> None:  # noqa: ARG001 - as every disruption
    """SIGKILL to the whole container."""
    os.killpg(os.getpgid(process.pid), signal.SIGKILL)


def terminate(process: psutil.Process, draw: float) -> None:  # noqa: ARG001
    """SIGTERM to the container's first process, as `docker stop` does."""
    os.kill(os.getpgid(process.pid), signal.SIGTERM)


def run_out_of_memory(process: psutil.Process, draw: float) -> None:
    """The kernel kills the largest process, or its next allocation fails."""
    largest = max(group_of(process), key=lambda member: member.memory_info().rss)
    if draw < 0.5:
        largest.kill()
    else:
        limit = largest.memory_info().vms + _SPARE_BYTES
        largest.rlimit(resource.RLIMIT_AS, (limit, limit))


def crash_function(exchange: Exchange, process: psutil.Process) -> None:
    """SIGKILL: the function is out of memory."""
    process.kill()
    exchange.hang_up()


class FullDisk:
    """No file of a process can grow: RLIMIT_FSIZE of 0, which Python sees as an OSError at its next write."""

    def __init__(self) -> None:
        self._limited: list[psutil.Process] = []

    def fill(self, process: psutil.Process, draw: float = 0.0) -> None:  # noqa: ARG002 - as every disruption
        """From now on."""
        process.rlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        self._limited.append(process)

    def fill_function(self, exchange: Exchange, process: psutil.Process) -> None:
        """From this request on."""
        self.fill(process)
        exchange.answer(exchange.forward())

    def clear(self) -> None:
        """There is room again, for those that live."""
        for process in self._limited:
            if process.is_running():
                process.rlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self._limited.clear()


def hang(seconds: float) -> Callable[[Exchange, psutil.Process], None]:
    """A request that is never answered, until its function has timed out `seconds` later."""

    def disrupt(exchange: Exchange, process: psutil.Process) -> None:  # noqa: ARG001 - as every disruption
        time.sleep(seconds)
        exchange.reset()

    return disrupt
