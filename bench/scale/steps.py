"""One function's part of the run, in the environment of AWS's runtime: `python -m bench.scale.steps FUNCTION < case`.

Invokes the real handlers. Of a large run only every so many windows (listing files of 50,000 keys) are worked on, each
from the state that the run has there, and the state after it must be that of the next one; what the others would have
left is written by the model. VerifyRun is whole: it reads the files of every shard. Writes what it took as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from bench.function_process import SHARD_SIZE
from bench.listing_rounds import Context
from bench.listing_runs import PREFIX
from bench.scale.model_of_jobs import SHARDS_OF_A_WINDOW, entries_of, write_reports, write_steps, write_verified
from stepvec import codec
from stepvec.adapters.clients import s3_client
from stepvec.adapters.object_store import ObjectStore
from stepvec.estimate.capacity import Capacity
from stepvec.limits import LIST_PAGE_KEYS
from stepvec.runs.layout import RunLayout
from stepvec.runs.listing import LISTING_FILE_LINES
from stepvec.runs.reports import RunReport
from stepvec.runs.steps import (
    ListingCounts,
    ListingCursor,
    ListingState,
    ShardingCounts,
    ShardingCursor,
    ShardingState,
)
from testkit.processes import peak_mb
from testkit.storage.client import WORK_BUCKET
from testkit.storage.synthetic import BUCKET, MODEL, RUN, TABLE_WITH_ROWS, key_of

STARTED: Final = "2026-11-25T00:00:00Z"
MEAN_BYTES: Final = 200_000
LAYOUT: Final = RunLayout(WORK_BUCKET, RUN)


@dataclass(frozen=True, slots=True)
class Case:
    """A run of `keys` images, of which every `stride`-th window is worked on, and the last."""

    keys: int
    stride: int

    @property
    def windows(self) -> int:
        """Listing files of the run."""
        return self.keys // LISTING_FILE_LINES

    @property
    def worked_on(self) -> list[int]:
        """Windows that the functions really work on."""
        return sorted({*range(0, self.windows, self.stride), self.windows - 1})

    @property
    def left_out(self) -> list[int]:
        """All others."""
        chosen = set(self.worked_on)
        return [window for window in range(self.windows) if window not in chosen]

    @property
    def shards(self) -> int:
        """Shards of the run."""
        return self.windows * SHARDS_OF_A_WINDOW

    @property
    def verified(self) -> list[int]:
        """Shards that VerifyShard really counts: the first of each window that is worked on."""
        return [window * SHARDS_OF_A_WINDOW for window in self.worked_on]


class PagesLeft(Context):
    """Lambda's context of an invocation whose time is over after so many looks at the clock."""

    def __init__(self, looks: int) -> None:
        super().__init__(deadline=0.0)
        self._looks = looks

    def get_remaining_time_in_millis(self) -> int:
        self._looks -= 1
        return 900_000 if self._looks > 0 else 0


def list_images(case: Case) -> dict[str, Any]:
    """ListImages on the chosen windows, a listing file each."""
    handle = _handler("list_images")
    size = 0
    for window in case.worked_on:
        pages = LISTING_FILE_LINES // LIST_PAGE_KEYS
        event: Any = {"run": RUN, "started": STARTED, "input": {"Paths": [PREFIX]}}
        if window:
            event = codec.to_document(_listed(window))
        after = codec.from_document(ListingState, handle(event, PagesLeft(pages)), where="ListImages")
        size = max(size, len(json.dumps(codec.to_document(after))))
        expected = _listed(window + 1)
        _check(after.cursor.files, expected.cursor.files, "listing files")
        _check(after.counts.listed, expected.counts.listed, "keys")
        if window + 1 < case.windows:
            _check(after.cursor, expected.cursor, "cursors")
    after = codec.from_document(ListingState, handle(codec.to_document(after), PagesLeft(1)), where="ListImages")
    _check((after.done, after.counts.listed), (True, case.keys), "ends")
    return {"state_bytes": size}


def shard_images(case: Case) -> dict[str, Any]:
    """ShardImages on the chosen windows, and its end: shards.json from all steps."""
    handle = _handler("shard_images")
    size = 0
    for window in case.worked_on:
        after = codec.from_document(
            ShardingState, handle(codec.to_document(_sharded(case, window)), PagesLeft(1)), where="ShardImages"
        )
        size = max(size, len(json.dumps(codec.to_document(after))))
        _check(after, _sharded(case, window + 1), "states")
    start = time.process_time()
    after = codec.from_document(
        ShardingState, handle(codec.to_document(_sharded(case, case.windows)), PagesLeft(1)), where="ShardImages"
    )
    _check((after.done, after.counts.shards), (True, case.shards), "ends")
    return {"state_bytes": size, "end_cpu_seconds": time.process_time() - start}


def verify_shard(case: Case) -> dict[str, Any]:
    """VerifyShard on the chosen shards."""
    handle = _handler("verify_shard")
    for shard in case.verified:
        entry = entries_of(LAYOUT, shard // SHARDS_OF_A_WINDOW)[0]
        counted = handle({"run": RUN, "shard": codec.to_document(entry)}, PagesLeft(1))
        _check((counted["embedded"], counted["missing"]), (SHARD_SIZE, 0), "rows")
    return {}


def verify_run(case: Case) -> dict[str, Any]:
    """VerifyRun on all shards, without its message and its event."""
    from lambdas.verify_run.aggregator import verify_run as verify
    from lambdas.verify_run.cost import Pipeline

    capacity = codec.from_json(Capacity, os.environ["STEPVEC_CAPACITY"], where="STEPVEC_CAPACITY")
    pipeline = Pipeline(f"{BUCKET}{case.keys}", TABLE_WITH_ROWS, MODEL, "int8", capacity)
    state = replace(_sharded(case, case.windows), done=True)
    report: RunReport = verify(ObjectStore(s3_client(connections=32)), LAYOUT, state, pipeline)
    _check((report.listed, report.embedded, report.missing), (case.keys, case.keys, 0), "images")
    _check((report.complete, report.shards), (True, case.shards), "runs")
    return {}


def leave_out(case: Case) -> dict[str, Any]:
    """The model: what the windows that are left out would have left, and the report of each job."""
    store, chosen = ObjectStore(s3_client(connections=16)), set(case.verified)
    write_steps(store, LAYOUT, case.left_out)
    write_reports(store, LAYOUT, range(case.shards))
    write_verified(store, LAYOUT, (shard for shard in range(case.shards) if shard not in chosen))
    return {}


STEPS: Final[dict[str, Callable[[Case], dict[str, Any]]]] = {
    step.__name__: step for step in (leave_out, list_images, shard_images, verify_shard, verify_run)
}


def _listed(windows: int) -> ListingState:
    """The state behind so many listing files."""
    keys = windows * LISTING_FILE_LINES
    after = key_of(keys - 1) if keys else ""
    return ListingState(
        RUN,
        STARTED,
        ListingCounts(keys, keys * MEAN_BYTES),
        ListingCursor(0, after, int(keys > 0), windows),
        done=False,
    )


def _sharded(case: Case, windows: int) -> ShardingState:
    """The state behind so many windows."""
    keys = windows * LISTING_FILE_LINES
    return ShardingState(
        run=RUN,
        started=STARTED,
        listing=ListingCounts(case.keys, case.keys * MEAN_BYTES),
        listing_files=case.windows,
        counts=ShardingCounts(to_embed=keys, shards=windows * SHARDS_OF_A_WINDOW),
        cursor=ShardingCursor("shard", windows, windows),
        shards_key=LAYOUT.shards.key,
        done=False,
    )


def _handler(name: str) -> Callable[[Any, Any], Any]:
    handle: Callable[[Any, Any], Any] = importlib.import_module(f"lambdas.{name}.handler").handle
    return handle


def _check(found: Any, expected: Any, what: str) -> None:
    if found != expected:
        raise RuntimeError(f"{what} differ: {found}, not {expected}")


def main() -> None:
    """Run one function's part and say what it took."""
    case = Case(**json.load(sys.stdin))
    # The handlers' logs and metrics are no part of the answer.
    answer_stream = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    wall, cpu = time.perf_counter(), time.process_time()
    more = STEPS[sys.argv[1]](case)
    json.dump(
        {
            "seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu,
            "peak_mb": peak_mb(),
            **more,
        },
        answer_stream,
    )
    answer_stream.close()


if __name__ == "__main__":
    main()
