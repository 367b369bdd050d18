"""The overhead of a shard, dealt by a Distributed Map of jobs and by a queue: `python -m bench.dealing [--record]`.

On the embedded AWS, with the real state machine, functions and VerifyShard. Shards are of one photo of 32 x 32. With
the stand-in a job is a thread and embeds nothing, so that what is left is the dealing: a job and a child's steps
against a message. With the network what is saved is its start: the worker as it is, against the same code kept from
shard to shard.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bench.dealing.measuring import MAP, QUEUE, Took, measure
from local_pipeline.installation import synthesize
from testkit.tables import markdown_table, write_section

LABELS = {MAP: "a job for each shard (Distributed Map)", QUEUE: "jobs that take shards from SQS"}
WORK = {False: "stand-in", True: "MXNet, one photo"}


def table_of(measured: dict[tuple[bool, str], Took]) -> str:
    """A row for each way and kind of work, and what the queue saves."""
    rows = [
        [
            LABELS[way],
            WORK[with_network],
            f"{took.shards:,}",
            f"{took.seconds:,.1f}",
            f"{took.seconds / took.shards * 1000:,.0f}",
            f"{took.cpu_seconds / took.shards * 1000:,.0f}",
        ]
        for (with_network, way), took in measured.items()
    ]
    head = ["", "work", "shards", "seconds", "ms a shard, by the clock", "CPU ms a shard"]
    return markdown_table(head, rows)


def main() -> None:
    """Measure, print, and with --record write the section into docs/performance.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shards", type=int, default=2_000, help="of the stand-in")
    parser.add_argument("--network-shards", type=int, default=12)
    parser.add_argument("--jobs", type=int, default=2, help="at a time")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    measured: dict[tuple[bool, str], Took] = {}
    with tempfile.TemporaryDirectory(prefix="stepvec-dealing-") as name:
        folder = Path(name)
        assembly = folder / "assembly"
        assembly.mkdir()
        synthesize(assembly)
        for with_network, shards in ((False, options.shards), (True, options.network_shards)):
            for way in (QUEUE, MAP):
                took = measure(assembly, folder, way, shards, jobs=options.jobs, with_network=with_network)
                measured[with_network, way] = took
                print(table_of(measured), flush=True)
    if options.record:
        write_section("dealing", table_of(measured))


if __name__ == "__main__":
    main()
