"""An index of S3 Vectors filled from a table under faults: every vector there once, and nothing embedded.

    python -m resilience.filling [--vectors 20000] [--seed N] [--record]

The rows are seeded, and no image is ever fetched: a run finds each row right and its vector missing, and the worker
copies it, while requests are throttled, fail, lose their answers, and the worker is killed before and after its puts.
Ends with one line, and with exit code 1 if anything in it is not as it must be. --record writes docs/reliability.md.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from local_pipeline.installation import synthesize
from resilience.faults import aws_errors
from resilience.faults import network_faults as network
from resilience.faults.index_invariants import doubled, miscounted, not_indexed, without_row
from resilience.faults.injector import Armed
from resilience.faults.network_faults import AnswerLost, Refused
from resilience.faults.pipeline import PipelineUnderTest, open_pipeline
from resilience.faults.process_faults import AtPut, kill_group
from resilience.faults.results import DEFAULT_SEED
from stepvec.pacing import batches
from stepvec.rows.item import VectorItem, encode_item
from stepvec.rows.model import ModelIdentity
from testkit.photos import etag_of
from testkit.tables import DOCS, write_section

VECTORS: Final = 20_000
SHARDS: Final = 8
RATE: Final = 0.1
"""Share of the requests that each fault of the network gets."""
KILLS: Final = 6
FAULTS: Final = ("throttled", "failed", "answer lost", "killed")
MAX_RUNS: Final = 8
PREFIX: Final = "filled"
_BATCH_WRITE: Final = 25
_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class Filled:
    """What came of it: a line for each thing that is wrong."""

    vectors: int
    injections: dict[str, int]
    runs: int
    seconds: float
    lost: list[str]
    doubled: list[str]
    wrong: list[str]
    embedded: int

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong, and every fault came."""
        return not (self.lost or self.doubled or self.wrong or self.embedded) and all(self.injections.values())

    @property
    def line(self) -> str:
        """All of it in one line."""
        faults = ", ".join(f"{name} {count:,}" for name, count in self.injections.items())
        return (
            f"{self.vectors:,} vectors put in {self.runs} runs and {self.seconds:,.0f} s under "
            f"{sum(self.injections.values()):,} faults ({faults}): {len(self.lost)} lost, {len(self.doubled)} doubled, "
            f"{len(self.wrong)} wrong, {self.embedded} embedded"
        )


def main() -> None:
    """Fill the index, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--vectors", type=int, default=VECTORS, help="how many")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of the vectors and the faults")
    parser.add_argument("--record", action="store_true", help="write the line into docs/reliability.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stepvec-filling-") as folder:
        synthesize(Path(folder), {"vector_index": "s3vectors"})
        with open_pipeline(Path(folder), options.seed) as pipeline:
            filled = fill(pipeline, options.vectors, options.seed)
    for line in (*filled.lost, *filled.doubled, *filled.wrong)[:10]:
        print(f"    {line}")
    if options.record:
        write_section("filling", f"{filled.line}.", DOCS / "reliability.md")
    print(filled.line)
    sys.exit(0 if filled.is_good else 1)


def fill(pipeline: PipelineUnderTest, count: int, seed: int) -> Filled:
    """Seed `count` rows, and run over them until every fault has come and a run without faults has ended."""
    store(pipeline, list(seeded_rows(pipeline, count, seed)))
    keys = [f"{PREFIX}/{number:06}.jpg" for number in range(count)]
    killed = AtPut("killed", kill_group, random.Random(seed).sample(keys, min(KILLS, count)))
    lost = AnswerLost("answer lost", network.vectors_call, aws_errors.vectors_failed)
    throttled = Refused("throttled", network.vectors_call, aws_errors.vectors_throttled)
    failed = Refused("failed", network.vectors_call, aws_errors.vectors_failed)
    run_input: dict[str, Any] = {"Paths": [PREFIX], "ShardSize": -(-count // SHARDS)}
    start, runs = time.monotonic(), 0
    pipeline.injector.take_written()
    pipeline.injector.arm([Armed(killed, 1.0), *(Armed(fault, RATE, 1) for fault in (throttled, failed, lost))])
    while not killed.is_spent and runs < MAX_RUNS:
        runs += 1
        pipeline.run(f"{PREFIX}-{runs}", run_input)
    pipeline.injector.disarm()
    ended = pipeline.run(f"{PREFIX}-{runs + 1}", run_input)
    seconds = time.monotonic() - start
    rows, vectors = pipeline.rows(PREFIX), pipeline.indexed(PREFIX) or ()
    wrong = list(without_row(rows, vectors))
    if ended.report is None or not ended.report.complete:
        wrong.append(f"the last run ended {ended.status}: {ended.error} {ended.cause}")
    else:
        wrong += miscounted(ended.report)
    return Filled(
        vectors=len(vectors),
        injections={
            name: pipeline.ledger.injections[name] for name in ("throttled", "failed", "answer lost", "killed")
        },
        runs=runs + 1,
        seconds=seconds,
        lost=list(not_indexed(rows, vectors, keys)),
        doubled=list(doubled(vectors)),
        wrong=wrong,
        embedded=sum(pipeline.injector.take_written().values()),
    )


def seeded_rows(pipeline: PipelineUnderTest, count: int, seed: int) -> Iterator[VectorItem]:
    """Rows of the deployment's model, for objects whose bytes are their numbers."""
    generator = np.random.default_rng(seed)
    model = ModelIdentity.parse(pipeline.deployment.model)
    for number in range(count):
        key = f"{PREFIX}/{number:06}.jpg"
        yield VectorItem(
            image_id=key,
            vector=generator.normal(size=model.dimension).astype("<f4").tobytes(),
            data_type="float32",
            dimension=model.dimension,
            created=datetime(2026, 11, 26, tzinfo=UTC),
            key=key,
            etag=etag_of(_body(number)),
            model=str(model),
            run="seeded",
            modified=datetime(2026, 11, 26, tzinfo=UTC),
        )


def store(pipeline: PipelineUnderTest, rows: list[VectorItem]) -> None:
    """Write the rows, and their objects."""
    table, dynamodb = pipeline.deployment.table, pipeline.cloud.client("dynamodb")

    def write(items: list[VectorItem]) -> None:
        requests = [{"PutRequest": {"Item": encode_item(item)}} for item in items]
        dynamodb.batch_write_item(RequestItems={table: requests})

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(write, batches(rows, _BATCH_WRITE)))
    pipeline.put_all({row.key: _body(number) for number, row in enumerate(rows)})


def _body(number: int) -> bytes:
    return b"photo %d" % number


if __name__ == "__main__":
    main()
