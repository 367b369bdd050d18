"""The index of an export: how long it takes to make and to search, its size and memory, and what it finds.

    .venv/bin/python -m bench.neighbours PHOTOS [--rows 10000 100000 1000000] [--record]

The vectors are like those of the photos in PHOTOS (testkit/exports.py: vectors_like), by the model in build/model, of
which the first --dimension numbers are taken. Each step is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from local_pipeline.installation import MODEL_DIRECTORY, ROOT
from local_pipeline.reembedding import reembedder
from stepvec.export.format import INDEX
from stepvec.neighbours.building import update_index
from stepvec.neighbours.exact import Neighbours, best_of, nearest_rows, none_for
from stepvec.neighbours.index import Index
from stepvec.neighbours.segment import recall_of
from stepvec.weights.model_directory import read_model_card
from testkit.exports import vectors_like, write_export_files
from testkit.processes import peak_mb, run_measured
from testkit.tables import markdown_table, write_section

QUERIES: Final = 200
COUNT: Final = 10
CHANGED: Final = 0.01
"""Which part of the rows is embedded again before the index is brought up to date."""
ALL_ROWS: Final = 2_048
"""Rows of which the time for the nearest of all rows is measured."""
SEED: Final = 1
HEAD: Final = (
    "vectors", "build, s", "CPU s", "peak MB", "index, MB", "of it codes, MB", "1 % changed, s", "open and search, ms",
    "search, ms", "CPU ms", "peak MB", "recall@10", "nearest of all, CPU ms a row",
)  # fmt: skip


def photo_vectors(photos: Path, dimension: int) -> npt.NDArray[np.float32]:
    """The first numbers of the vectors of all photos below a folder."""
    model = str(read_model_card(MODEL_DIRECTORY).identity("standard-1", "openvino"))
    found = []
    with reembedder(model) as embedder:
        for file in sorted(photos.glob("*/*.jpg")):
            vector = embedder.vector(file)
            if not isinstance(vector, str):
                found.append(vector[:dimension])
    return np.stack(found)


def write_rows(folder: Path, real: npt.NDArray[np.float32], rows: int, *, changed: float = 0.0) -> None:
    """An export of `rows` vectors, of which a part was embedded `changed` since: their ETags are others."""

    def files() -> Iterator[tuple[list[str], npt.NDArray[Any], list[str], None]]:
        start = 0
        for vectors in vectors_like(real, rows, SEED):
            keys = [f"photos/{number % 997:03}/{number:08}.jpg" for number in range(start, start + len(vectors))]
            last = start + changed * len(vectors)
            etags = [f"{number:032x}{'-2' if number < last else ''}" for number in range(start, start + len(vectors))]
            start += len(vectors)
            yield keys, vectors, etags, None

    write_export_files(folder, files(), real.shape[1], numbers="float16")


def build(folder: Path) -> None:
    """In a process of its own: bring the index up to date."""
    update_index([folder])


def search(folder: Path, real: Path) -> dict[str, float]:
    """In a process of its own: open the index, search, and compare with what is found exactly."""
    queries = next(vectors_like(np.load(real), QUERIES, SEED + 1))
    start = time.perf_counter()
    index = Index.open(folder)
    index.nearest(queries[:1], COUNT)
    first = time.perf_counter() - start
    seconds, found, cpu = [], [], time.process_time()
    for query in queries:
        start = time.perf_counter()
        found.append(index.nearest(query[None], COUNT))
        seconds.append(time.perf_counter() - start)
    cpu = (time.process_time() - cpu) / QUERIES
    memory = peak_mb()
    start_cpu = time.process_time()
    compared = sum(len(some.rows) for some in islice(index.nearest_of_all(COUNT), ALL_ROWS // 1024))
    cpu_of_all = (time.process_time() - start_cpu) / compared
    together = Neighbours(np.concatenate([one.rows for one in found]), np.concatenate([one[1] for one in found]))
    return {
        "first_ms": 1000 * first,
        "ms": 1000 * statistics.median(seconds),
        "cpu_ms": 1000 * cpu,
        "peak_mb": memory,
        "recall": recall_of(together, exact(index, queries)),
        "cpu_ms_of_all": 1000 * cpu_of_all,
    }


def exact(index: Index, queries: npt.NDArray[np.float32]) -> Neighbours:
    """What a comparison with every vector finds."""
    best = none_for(len(queries), 0)
    for rows, vectors in index.vector_batches():
        local = nearest_rows(queries, vectors, COUNT)
        best = best_of([best, Neighbours(rows[local.rows], local.similarities)], COUNT)
    return best


def measure(real: Path, rows: int, folder: Path) -> list[str]:
    """A row of the table."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bench.neighbours", "--folder", str(folder), "--real", str(real), "--step"]
    write_rows(folder, np.load(real), rows)
    built = run_measured([[*command, "build"]], environment, ROOT)
    files = [file for file in (folder / INDEX).rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    codes = sum(file.stat().st_size for file in files if file.suffix == ".faiss")
    searched = json.loads(run_measured([[*command, "search"]], environment, ROOT).outputs[0])
    write_rows(folder, np.load(real), rows, changed=CHANGED)
    updated = run_measured([[*command, "build"]], environment, ROOT)
    return [
        f"{rows:,}", f"{built.seconds:.1f}", f"{built.cpu_seconds:.1f}", f"{built.peak_mb:,.0f}", f"{size / 1e6:,.0f}",
        f"{codes / 1e6:,.1f}", f"{updated.seconds:.1f}", f"{searched['first_ms']:.1f}", f"{searched['ms']:.1f}",
        f"{searched['cpu_ms']:.1f}", f"{searched['peak_mb']:.0f}", f"{searched['recall']:.4f}",
        f"{searched['cpu_ms_of_all']:.1f}",
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and, with --record, write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="?")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--step", choices=("build", "search"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--real", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.step == "build":
        build(options.folder)
        return
    if options.step == "search":
        print(json.dumps(search(options.folder, options.real)))
        return
    table = []
    with tempfile.TemporaryDirectory(prefix="stepvec-neighbours-") as folder:
        real = Path(folder) / "real.npy"
        np.save(real, photo_vectors(options.photos, options.dimension))
        for rows in options.rows:
            table.append(measure(real, rows, Path(folder) / f"export-{rows}"))
            print(markdown_table(HEAD, table), flush=True)
    if options.record:
        write_section("neighbours", markdown_table(HEAD, table))


if __name__ == "__main__":
    main()
