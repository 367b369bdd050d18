"""CPU time of one request by several clients, in turns in one process, for the benchmarks of reading and storing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Element = TypeVar("Element")
Answer = TypeVar("Answer")


def cpu_milliseconds(
    ways: Mapping[str, Callable[[Element], Answer]],
    elements: Sequence[Element],
    *,
    rounds: int,
    threads: int,
    is_right: Callable[[Answer], bool],
) -> dict[str, list[float]]:
    """CPU ms (user and system, of this process) of one of the `elements` by each way, in each of the rounds.

    Raises RuntimeError for an answer that is not right: another answer would be other work.
    """
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with ThreadPoolExecutor(threads) as pool:
        for round_ in range(rounds + 1):
            for name, way in ways.items():
                start = time.process_time()
                for answer in pool.map(way, elements):
                    if not is_right(answer):
                        raise RuntimeError(f"{name} gave another answer: {str(answer)[:200]}")
                if round_:  # the first makes the connections
                    taken[name].append((time.process_time() - start) / len(elements) * 1000)
    return taken
