"""`stepvec export` on synthetic tables: rows/s, CPU and memory from 10^4 rows to 10^7.

The rows are made by the storage stand-in as boto3 asks for them (testkit/storage/synthetic.py), in a process of its
own whose CPU counts apart: requests, answers, conversion and files are real, the table is not. Peer: a script with
all rows in a list.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_pipeline.installation import ROOT
from testkit.processes import run_measured
from testkit.storage.client import Storage, running_storage
from testkit.tables import markdown_table, write_section

CASES: Final = (
    ("ours", 10_000, 1280, "float32"),
    ("ours", 100_000, 1280, "float32"),
    ("ours", 1_000_000, 1280, "float32"),
    ("ours", 1_000_000, 512, "float16"),
    ("ours", 10_000_000, 512, "float16"),
    ("in-memory", 10_000, 1280, "float32"),
    ("in-memory", 100_000, 1280, "float32"),
)
NAMES: Final = {"ours": "stepvec export", "in-memory": "a script, all rows in a list"}


@dataclass(frozen=True, slots=True)
class Took:
    """What one export took."""

    way: str
    rows: int
    dimension: int
    numbers: str
    seconds: float
    cpu_seconds: float
    peak_mb: float
    storage_seconds: float
    written_mb: float

    @property
    def microseconds(self) -> float:
        """CPU microseconds a row."""
        return self.cpu_seconds / self.rows * 1e6


def measure(storage: Storage, folder: Path, way: str, rows: int, dimension: int, numbers: str) -> Took:
    """One export into `folder`, which is removed again. Raises RuntimeError where rows are missing."""
    storage.reset()
    out = folder / "out"
    command = [sys.executable, "-m", "bench.export_once", way, f"vectors-{rows}-{dimension}", str(out)]
    environment = os.environ | storage.environment | {"PYTHONPATH": str(ROOT)}
    usage = run_measured([[*command, "--numbers", numbers]], environment, ROOT)
    found = json.loads(usage.outputs[0])["rows"]
    if found != rows:
        raise RuntimeError(f"{way} exported {found:,} rows of {rows:,}")
    written = sum(file.stat().st_size for file in out.iterdir()) / 2**20
    shutil.rmtree(out)
    cpu = storage.counts().cpu_seconds
    return Took(way, rows, dimension, numbers, usage.seconds, usage.cpu_seconds, usage.peak_mb, cpu, written)


def measured_table(measured: Sequence[Took]) -> str:
    """A row for each export."""
    head = ["", "rows", "numbers", "written MB", "seconds", "CPU µs a row", "peak MB", "storage's CPU s"]
    rows = [
        [
            NAMES[took.way],
            f"{took.rows:,}",
            f"{took.dimension} {took.numbers}",
            f"{took.written_mb:,.0f}",
            f"{took.seconds:,.1f}",
            f"{took.microseconds:.1f}",
            f"{took.peak_mb:,.0f}",
            f"{took.storage_seconds:,.1f}",
        ]
        for took in measured
    ]
    return markdown_table(head, rows)


def summary(measured: Sequence[Took]) -> str:
    """Whether it is linear and flat, each kind of row between its smallest and its largest table."""
    lines = []
    for way, dimension in dict.fromkeys((took.way, took.dimension) for took in measured):
        kind = [took for took in measured if (took.way, took.dimension) == (way, dimension)]
        first, last = kind[0], kind[-1]
        if first is last:
            continue
        lines.append(
            f"{NAMES[way]}, {dimension} numbers, from {first.rows:,} to {last.rows:,} rows: CPU a row changes by "
            f"{last.microseconds / first.microseconds:.2f}, peak memory by {last.peak_mb / first.peak_mb:.2f}."
        )
    return " ".join(lines)


def main() -> None:
    """Measure, print, and write the section into docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--most", type=int, default=max(case[1] for case in CASES), help="leave out larger tables")
    parser.add_argument("--folder", type=Path, help="where to write: 10 GB; if left out, for temporary files")
    parser.add_argument("--dry", action="store_true", help="do not write docs/performance.md")
    arguments = parser.parse_args()
    measured = []
    with running_storage() as storage, tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for way, rows, dimension, numbers in CASES:
            if rows <= arguments.most:
                took = measure(storage, Path(folder), way, rows, dimension, numbers)
                measured.append(took)
                print(took, flush=True)
    text = f"{measured_table(measured)}\n\n{summary(measured)}"
    print(f"\n{text}")
    if not arguments.dry:
        write_section("exporting", text)


if __name__ == "__main__":
    main()
