"""ListImages and ShardImages on synthetic keys: keys/s, CPU and memory, and what that means for 100 million.

The real handlers run in the environment of AWS's runtime against the storage stand-in (testkit/storage), round by
round as the state machine calls them. Peer: the original sample's way, one paginator that collects every key in a list.
All in turns on the same stand-in, a process of its own whose CPU counts apart.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from bench.function_process import SHARD_SIZE
from bench.listing_rounds import LAMBDA_SECONDS, PEER
from bench.listing_runs import PREFIX, Took, put_inventory, run_function
from lambdas.list_images import lister
from lambdas.shard_images import sharder
from stepvec.limits import BATCH_GET_ITEMS, LIST_PAGE_KEYS
from stepvec.runs.listing import LISTING_FILE_LINES
from testkit.storage.client import Storage, running_storage
from testkit.storage.synthetic import BUCKET, TABLE_WITH_ROWS, TABLE_WITHOUT_ROWS
from testkit.tables import markdown_table, write_section

KEYS: Final = (10_000, 100_000, 1_000_000)
FAR: Final = 100_000_000
TABLE_THREADS: Final = 8
LIST_SECONDS: Final = 0.1
BATCH_GET_SECONDS: Final = 0.01
"""Assumed, not measured: what a request takes on AWS beside the function's own work."""
FILE_SECONDS: Final = 0.05

LISTED, FROM_INVENTORY = "ListImages, by prefix", "ListImages, from an S3 Inventory"
SHARDED, UNCHANGED = "ShardImages, table without rows", "ShardImages, table with every row"
DEALT = "ShardImages of the inventory (two passes)"
SAMPLE = "the sample's way: a paginator, all keys in a list"


def measure(storage: Storage, keys: int) -> Iterator[tuple[str, Took]]:
    """What each function took on `keys` keys."""
    bucket = f"{BUCKET}{keys}"
    yield SAMPLE, run_function(storage, PEER, {"bucket": bucket, "prefix": PREFIX}, keys=keys, table=TABLE_WITHOUT_ROWS)
    listed = run_function(storage, "list_images", _start(keys, Paths=[PREFIX]), keys=keys, table=TABLE_WITHOUT_ROWS)
    yield LISTED, listed
    for name, table in ((SHARDED, TABLE_WITHOUT_ROWS), (UNCHANGED, TABLE_WITH_ROWS)):
        sharded = run_function(storage, "shard_images", listed.answer, keys=keys, table=table)
        _check_counts(sharded, unchanged=keys if table == TABLE_WITH_ROWS else 0)
        yield name, sharded
    event = _start(keys, Manifest=put_inventory(storage, keys))
    from_inventory = run_function(storage, "list_images", event, keys=keys, table=TABLE_WITHOUT_ROWS)
    yield FROM_INVENTORY, from_inventory
    dealt = run_function(storage, "shard_images", from_inventory.answer, keys=keys, table=TABLE_WITHOUT_ROWS)
    _check_counts(dealt, unchanged=0)
    yield DEALT, dealt


def measure_ours(storage: Storage, keys: int) -> Iterator[tuple[str, Took]]:
    """What ListImages by prefix and ShardImages took on `keys` keys, a number for which all the rest is too slow."""
    listed = run_function(storage, "list_images", _start(keys, Paths=[PREFIX]), keys=keys, table=TABLE_WITHOUT_ROWS)
    yield LISTED, listed
    sharded = run_function(storage, "shard_images", listed.answer, keys=keys, table=TABLE_WITHOUT_ROWS)
    _check_counts(sharded, unchanged=0)
    yield SHARDED, sharded


def _start(keys: int, **where: Any) -> dict[str, Any]:
    return {"run": f"{'-'.join(where)}-{keys}", "started": "2026-11-25T00:00:00Z", "input": where}


def _check_counts(took: Took, *, unchanged: int) -> None:
    counts = took.answer["counts"]
    if (counts["to_embed"], counts["unchanged"]) != (took.keys - unchanged, unchanged):
        raise RuntimeError(f"ShardImages lost keys: {took.keys:,} were listed, {counts}")


def measured_table(measured: dict[str, list[Took]]) -> str:
    """A row for each function and number of keys."""
    head = ["", "keys", "keys/s of CPU", "CPU µs a key", "peak MB", "state bytes", "storage's CPU s"]
    rows = [
        [
            name,
            f"{took.keys:,}",
            f"{took.keys_per_second:,.0f}",
            f"{took.microseconds:.1f}",
            f"{took.peak_mb:.0f}",
            "" if name == SAMPLE else f"{len(json.dumps(took.answer)):,}",
            f"{took.storage_seconds:.1f}",
        ]
        for name, runs in measured.items()
        for took in runs
    ]
    return markdown_table(head, rows)


def far_table(measured: dict[str, list[Took]]) -> str:
    """Time and rounds of FAR keys: CPU by the measured slope, and the waits that are assumed."""
    windows = math.ceil(FAR / LISTING_FILE_LINES)
    shards, reads = math.ceil(FAR / SHARD_SIZE), FAR / BATCH_GET_ITEMS * BATCH_GET_SECONDS / TABLE_THREADS
    dealt = math.ceil(windows / sharder.PARTITION_FILES) * windows
    in_threads = FILE_SECONDS / sharder.FILE_THREADS
    waits = {
        LISTED: FAR / LIST_PAGE_KEYS * LIST_SECONDS + windows * FILE_SECONDS,
        FROM_INVENTORY: windows * FILE_SECONDS,
        SHARDED: reads + 4 * windows * FILE_SECONDS + shards * in_threads,
        UNCHANGED: reads + 4 * windows * FILE_SECONDS,
        DEALT: reads + 5 * windows * FILE_SECONDS + shards * in_threads + 2 * dealt * in_threads,
    }
    rows = []
    for name, wait in waits.items():
        module = lister if name in (LISTED, FROM_INVENTORY) else sharder
        cpu = _slope(measured[name]) * FAR
        round_seconds = LAMBDA_SECONDS - module.STOP_BEFORE_MILLISECONDS / 1000
        rounds = math.ceil((cpu + wait) / round_seconds)
        rows.append([name, *(f"{seconds / 60:.0f}" for seconds in (cpu, wait, cpu + wait)), str(rounds)])
    return markdown_table(["", "CPU min", "waiting min", "together min", "Lambda rounds"], rows)


def _slope(runs: list[Took]) -> float:
    """CPU seconds a key, between the two largest runs: without what each process pays once."""
    if len(runs) == 1:
        return runs[0].cpu_seconds / runs[0].keys
    less, more = runs[-2:]
    return (more.cpu_seconds - less.cpu_seconds) / (more.keys - less.keys)


def summary(measured: dict[str, list[Took]]) -> str:
    """The line that says whether it is linear and flat, and how it compares with the peer."""
    peer = measured[SAMPLE]
    ours = measured[LISTED][: len(peer)]
    # Below one window, memory grows with the keys, and is meant to.
    full = next((number for number, took in enumerate(ours) if took.keys >= LISTING_FILE_LINES), 0)
    return (
        f"{ours[-1].keys:,} keys: ListImages {ours[-1].keys_per_second / peer[-1].keys_per_second:.1f} times the "
        f"sample's keys/s in {ours[-1].peak_mb / peer[-1].peak_mb:.2f} of its memory. From {ours[full].keys:,} to "
        f"{ours[-1].keys:,} keys, CPU a key changes by {ours[-1].microseconds / ours[full].microseconds:.2f} and peak "
        f"memory by {ours[-1].peak_mb / ours[full].peak_mb:.2f} (the sample's memory by "
        f"{peer[-1].peak_mb / peer[full].peak_mb:.2f})."
    )


def main() -> None:
    """Measure, print, and write the section into docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--keys", type=int, nargs="+", default=KEYS, help="numbers of keys, ascending")
    parser.add_argument(
        "--more-keys", type=int, nargs="*", default=(), help="of these, ListImages and ShardImages alone"
    )
    parser.add_argument("--dry", action="store_true", help="do not write docs/performance.md")
    arguments = parser.parse_args()
    measured: dict[str, list[Took]] = {}
    with running_storage() as storage:
        runs = [measure(storage, keys) for keys in arguments.keys]
        runs += [measure_ours(storage, keys) for keys in arguments.more_keys]
        for name, took in chain.from_iterable(runs):
            measured.setdefault(name, []).append(took)
            print(f"{took.keys:>12,} keys  {took.microseconds:7.1f} µs  {took.peak_mb:6.0f} MB  {name}", flush=True)
    assumed = (
        f"For {FAR:,} keys, computed: the CPU by the slope between the two largest runs; waits as assumed, "
        f"{LIST_SECONDS * 1000:.0f} ms a page, {BATCH_GET_SECONDS * 1000:.0f} ms a BatchGetItem in {TABLE_THREADS} "
        f"threads, {FILE_SECONDS * 1000:.0f} ms a file; the two added, though some overlap:"
    )
    text = "\n\n".join([measured_table(measured), summary(measured), assumed, far_table(measured)])
    print(f"\n{text}")
    if not arguments.dry:
        write_section("listing", text)


if __name__ == "__main__":
    main()
