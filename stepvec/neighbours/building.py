"""Bringing an index up to date with exports: what is new is added, what has gone or changed no longer counts."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stepvec import codec
from stepvec.adapters.locks import lock_file
from stepvec.errors import InvalidInputError
from stepvec.export.columns import matrix
from stepvec.export.format import INDEX
from stepvec.export.reading import Export
from stepvec.neighbours.index import read_manifest
from stepvec.neighbours.manifest import FORMAT, MANIFEST, IndexedFile, IndexManifest, SegmentEntry
from stepvec.neighbours.segment import EXACT_BELOW, ROW_COLUMNS, Segment, write_segment
from stepvec.neighbours.sources import Wanted, list_wanted, wanted_batches

MOST_SEGMENTS: Final = 8
"""Each costs a search of its own; beyond, all are written anew as one."""
MOST_DEAD: Final = 0.25
"""A larger share of rows that no longer count slows searches down, and the segment is written anew."""


@dataclass(frozen=True, slots=True)
class IndexChanges:
    """What an update did: rows that were added, embedded again, no longer there; rows now, and those written anew."""

    added: int
    changed: int
    removed: int
    rows: int
    copied: int


def update_index(
    exports: Sequence[Path], *, rebuild: bool = False, report: Callable[[str], None] = lambda _: None
) -> IndexChanges:
    """Bring the index beside the first of `exports` up to date with all of them; of an image in several, the newest.

    Rows in none of them are dropped. Exports that did not change since are not read. Raises InvalidInputError where one
    is unfinished, damaged, or of another model than the others, and where they have no rows.

    Memory is 50 bytes a row, beside that of build_lists. A search that goes on meanwhile uses the index as it was.
    """
    opened = [Export.open(folder) for folder in exports]
    _check_models(opened)
    folder = exports[0] / INDEX
    folder.mkdir(exist_ok=True)
    with _locked(folder):
        before = None if rebuild else read_manifest(exports[0])
        if before is not None and before.model != opened[0].manifest.model:
            before = None
        _clean(folder, read_manifest(exports[0]))
        files = tuple(tuple(IndexedFile(file.name, file.sha256) for file in one.manifest.files) for one in opened)
        if before is not None and before.exports == files:
            return IndexChanges(0, 0, 0, sum(entry.alive_rows for entry in before.segments), 0)
        known = {file for one in (before.exports if before else ()) for file in one}
        for one in opened:
            one.check(is_known=lambda file: IndexedFile(file.name, file.sha256) in known, report=report)
        return _update(folder, before, opened, files, report)


def _update(
    folder: Path,
    before: IndexManifest | None,
    exports: Sequence[Export],
    files: tuple[tuple[IndexedFile, ...], ...],
    report: Callable[[str], None],
) -> IndexChanges:
    wanted = list_wanted(exports, report)
    segments = [Segment(folder, entry) for entry in (before.segments if before else ())]
    alive = [_still_wanted(segment, wanted) for segment in segments]
    old_ids = np.concatenate(
        [np.empty(0, np.uint64)] + [segment.marks()["id"][_counts(segment)] for segment in segments]
    )
    new_ids = wanted.marks["id"][wanted.new]
    changed = int(np.isin(new_ids, old_ids).sum())
    removed = len(old_ids) - sum(int(part.sum()) for part in alive) - changed

    kept, dissolved = _divide(segments, alive, int(wanted.new.sum()))
    copied = sum(int(alive[number].sum()) for number in dissolved)
    generation = before.generation + 1 if before else 1
    entries = [_entry(folder, segments[number], alive[number], generation) for number in kept]
    if rows := copied + int(wanted.new.sum()):
        content = _content([(segments[number], alive[number]) for number in dissolved], exports, wanted)
        dimension = exports[0].manifest.dimension
        entries.append(write_segment(folder, f"segment-{secrets.token_hex(6)}", rows, dimension, content, report))
    origin = exports[0].manifest.origin
    manifest = IndexManifest(
        FORMAT, generation, exports[0].manifest.model, exports[0].manifest.dimension,
        origin.table, origin.image_bucket, origin.region, files, tuple(entries),
    )  # fmt: skip
    unfinished = folder / f"{MANIFEST}.part"
    unfinished.write_text(codec.to_json(manifest), encoding="utf-8")
    unfinished.replace(folder / MANIFEST)
    _clean(folder, manifest)
    total = sum(entry.alive_rows for entry in entries)
    return IndexChanges(len(new_ids) - changed, changed, removed, total, copied)


def _still_wanted(segment: Segment, wanted: Wanted) -> npt.NDArray[np.bool_]:
    """Which of the segment's rows count from now on; those are no longer `new` in `wanted`."""
    alive = _counts(segment) & np.isin(segment.marks()["row"], wanted.marks["row"])
    wanted.new[np.isin(wanted.marks["row"], segment.marks()["row"][alive])] = False
    return alive


def _counts(segment: Segment) -> npt.NDArray[np.bool_]:
    return np.ones(segment.entry.rows, np.bool_) if segment.alive is None else segment.alive


def _divide(
    segments: Sequence[Segment], alive: Sequence[npt.NDArray[np.bool_]], new: int
) -> tuple[list[int], list[int]]:
    """Which segments stay as they are, and which are written anew together with the new rows."""

    def healthy(number: int) -> bool:
        rows = segments[number].entry.rows
        return rows >= EXACT_BELOW and alive[number].sum() >= (1 - MOST_DEAD) * rows

    kept = [number for number in range(len(segments)) if healthy(number)]
    dissolved = [number for number in range(len(segments)) if number not in kept]
    if len(kept) >= MOST_SEGMENTS:
        return [], sorted(kept + dissolved)
    if len(dissolved) == 1 and not new and alive[dissolved[0]].all() and segments[dissolved[0]].alive is None:
        # Nothing would be different.
        return sorted(kept + dissolved), []
    return kept, dissolved


def _entry(folder: Path, segment: Segment, alive: npt.NDArray[np.bool_], generation: int) -> SegmentEntry:
    """The entry of a segment that stays, with what counts of it now."""
    if alive.all():
        return replace(segment.entry, alive="", alive_rows=segment.entry.rows)
    name = f"{segment.entry.name}/alive-{generation}.npy"
    np.save(folder / name, alive)
    return replace(segment.entry, alive=name, alive_rows=int(alive.sum()))


def _content(
    dissolved: Sequence[tuple[Segment, npt.NDArray[np.bool_]]], exports: Sequence[Export], wanted: Wanted
) -> Iterator[tuple[pa.RecordBatch, npt.NDArray[Any]]]:
    for segment, alive in dissolved:
        start = 0
        for batch in segment.batches():
            chosen = alive[start : start + len(batch)]
            yield batch.filter(pa.array(chosen)), segment.vectors[start : start + len(batch)][chosen]
            start += len(batch)
    for batch in wanted_batches(exports, wanted):
        yield batch.select(list(ROW_COLUMNS)), matrix(batch["vector"])


def _check_models(exports: Sequence[Export]) -> None:
    models = {export.manifest.model for export in exports}
    if len(models) > 1:
        raise InvalidInputError(
            f"These exports are of {len(models)} models: {', '.join(sorted(models))}.",
            remedy="Vectors of different models cannot be compared: index each by itself.",
        )
    if not any(export.manifest.rows for export in exports):
        raise InvalidInputError(f"{exports[0].folder} has no vectors.", remedy="Export again once a run has ended.")


def _clean(folder: Path, manifest: IndexManifest | None) -> None:
    """Remove what a broken update left, and segments that no longer count."""
    kept = {entry.name for entry in manifest.segments} if manifest else set()
    masks = {entry.alive for entry in manifest.segments} if manifest else set()
    for segment in folder.glob("segment-*"):
        if segment.name not in kept:
            shutil.rmtree(segment)
            continue
        for mask in segment.glob("alive-*.npy"):
            if f"{segment.name}/{mask.name}" not in masks:
                mask.unlink()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One update at a time. Raises InvalidInputError where another is going on."""
    lock = lock_file(folder / "lock", wait=False)
    if lock is None:
        raise InvalidInputError(
            f"Another `stepvec index` is at work in {folder.parent}.", remedy="Wait until it has ended."
        )
    try:
        yield
    finally:
        os.close(lock)
