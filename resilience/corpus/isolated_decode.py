"""Each image decoded in a process of its own: outcome, CPU seconds, memory.

Runs in the worker's environment and imports nothing of the rest:

    .venv-worker/bin/python -m resilience.corpus.isolated_decode < PATHS    one path a line; one line of JSON each
    .venv-worker/bin/python -m resilience.corpus.isolated_decode --mutations 9  of each seed of resilience.corpus.damage
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from PIL import Image
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import prepare
from stepvec_worker.images.rejection import ImageRejected

from resilience.corpus.damage import mutate, seeds
from resilience.corpus.encoders import CRASHED, EMBEDDED, HUNG, MUTATIONS

SECONDS: Final = 120
"""CPU time after which an image counts as hung."""


@dataclass(frozen=True, slots=True)
class IsolatedOutcome:
    """The outcome of one image: EMBEDDED, a reason, CRASHED or HUNG."""

    outcome: str
    message: str
    seconds: float
    megabytes: float


def outcome_of(data: bytes) -> tuple[str, str]:
    """EMBEDDED or the reason, and its message, with the worker's default limits."""
    try:
        prepare(data, DecodeLimits(), "standard-1")
    except ImageRejected as rejected:
        return str(rejected.reason), rejected.message
    return EMBEDDED, ""


def in_own_process(work: Callable[[], tuple[str, str]]) -> IsolatedOutcome:
    """`work` in a child process that may crash or hang."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        before, start = _peak_megabytes(), time.process_time()
        # Whatever happens, this copy of the program must not go on.
        try:
            outcome, message = work()
            result = IsolatedOutcome(outcome, message, time.process_time() - start, _peak_megabytes() - before)
            os.write(writer, json.dumps(asdict(result)).encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read()
    _, status, usage = os.wait4(child, 0)
    if status == 0 and said:
        return IsolatedOutcome(**json.loads(said))
    spent = usage.ru_utime + usage.ru_stime
    return IsolatedOutcome(HUNG if spent >= SECONDS else CRASHED, f"wait status {status}", spent, 0.0)


def main() -> None:
    """Read the arguments, write the results to standard output."""
    parser = argparse.ArgumentParser(description="Decode each image in a process of its own.")
    parser.add_argument("--mutations", type=int, default=0, help="mutations of each seed, instead of files")
    mutations = parser.parse_args().mutations
    # Here and not in each child: Pillow loads its decoders when it first needs one.
    Image.init()
    for result in _mutated(mutations) if mutations else _files():
        print(json.dumps(asdict(result)), flush=True)


def _files() -> Iterator[IsolatedOutcome]:
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        yield in_own_process(lambda path=path: outcome_of(path.read_bytes()))  # type: ignore[misc]


def _mutated(count: int) -> Iterator[IsolatedOutcome]:
    """One result for MUTATIONS of them."""
    for number, whole in enumerate(seeds()):
        for first in range(0, count, MUTATIONS):
            generator = random.Random(f"{number}-{first}")

            def work(whole: bytes = whole, generator: random.Random = generator) -> tuple[str, str]:
                for _ in range(MUTATIONS):
                    outcome_of(mutate(whole, generator))
                return EMBEDDED, ""

            yield in_own_process(work)


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
