"""An export from its first page to its manifest: lanes side by side, and a state that a stopped one goes on from."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from stepvec import codec
from stepvec.errors import InvalidInputError, RecordError, StorageError
from stepvec.export.columns import Numbers
from stepvec.export.format import FORMAT, ExportManifest, footer
from stepvec.export.lanes import FILE_BYTES, Dimension, Lane, LaneOrders
from stepvec.export.selection import Selection
from stepvec.export.sources import Source
from stepvec.export.state import STATE, ExportRequest, ExportState, LaneState, Tally
from stepvec.export.targets import Target

_OWNER_BYTES: Final = 4
_POLL_SECONDS: Final = 0.5
"""Between two looks at whether somebody wants it to stop."""

Finish = Callable[[Path, ExportManifest], ExportManifest]
"""Makes other files of the parts in a folder, and says what the manifest is then."""


class Exporter:
    """One export of `source` to `target`. `version` is that of Stepvec."""

    def __init__(
        self,
        source: Source,
        selection: Selection,
        target: Target,
        *,
        version: str,
        numbers: Numbers = "float32",
        file_bytes: int = FILE_BYTES,
        on_rows: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._selection = selection
        self._target = target
        self._version = version
        self._on_rows = on_rows
        self._request = ExportRequest(
            selection.model, numbers, selection.prefixes, selection.keys, selection.since, source.origin, file_bytes
        )

    def resumed(self) -> ExportState | None:
        """The state that this export goes on from; None where it begins.

        Raises InvalidInputError where the target holds an unfinished export of something else.
        """
        found = self._target.read_state()
        if found is None:
            return None
        try:
            state = codec.from_json(ExportState, found, where=STATE)
        except RecordError as error:
            raise InvalidInputError(
                f"The unfinished export there cannot be gone on with: {error.message}", remedy=_RESTART
            ) from error
        if state.request != self._request:
            raise InvalidInputError(
                "An export of something else is unfinished there: it has another "
                f"{_difference(state.request, self._request)}.",
                remedy=f"Give the same options to go on with it. {_RESTART}",
            )
        if len(state.lanes) != self._source.lanes or not all(map(self._target.has, state.files)):
            raise InvalidInputError(
                "Files of the unfinished export there are missing or have changed.", remedy=_RESTART
            )
        return state

    def run(self, finish: Finish | None = None) -> ExportManifest:
        """Export, and return the manifest that was published.

        Raises SeveralModelsError, InvalidInputError where there are no rows, RecordError and StorageError; whatever it
        raises, nothing is published. What was kept stays for the next call, but where no call could go on.
        """
        begun = ExportState(
            self._request, _now(), 0, tuple(LaneState("", False, ()) for _ in range(self._source.lanes))
        )
        try:
            # Taken over from here on: whoever wrote the state before can write it no more, and stops.
            state = replace(self.resumed() or begun, owner=secrets.token_hex(_OWNER_BYTES))
            self._target.write_state(codec.to_json(state).encode())
            return self._run(state, finish)
        finally:
            self._target.release()

    def _run(self, state: ExportState, finish: Finish | None) -> ExportManifest:
        with self._target.folder() as folder:
            try:
                words = footer(
                    self._version, self._selection.model, self._request.numbers, self._source.origin, state.started
                )
                reading = _Reading(self._source, self._selection, self._target, folder, state, words)
                state = reading.run(self._on_rows)
                self._check(state)
            except InvalidInputError:
                self._target.discard()
                raise
            except OSError as error:
                raise StorageError(
                    f"The export cannot be written: {error}.", remedy="Mend that, and start again: it goes on."
                ) from error
            manifest = self._manifest(state)
            if finish:
                manifest = finish(folder, manifest)
            names = frozenset(file.name for file in manifest.files)
            self._target.publish(codec.to_json(manifest).encode(), names)
        return manifest

    def _check(self, state: ExportState) -> None:
        if not state.files and not self._selection.since:
            others = ", ".join(f"{rows:,} of {name or 'no model'}" for name, rows in state.left_out.items())
            where = " under these paths" if self._selection.prefixes or self._selection.keys else ""
            raise InvalidInputError(
                f"The table has no rows of {self._selection.model}{where}{f', but {others}' if others else ''}.",
                remedy="Give another --model or other paths.",
            )
        rows, counted = sum(file.rows for file in state.files), sum(state.runs.values())
        if rows != counted:
            raise RecordError(f"The files have {rows:,} rows, and {counted:,} were written to them.", remedy=_RESTART)

    def _manifest(self, state: ExportState) -> ExportManifest:
        return ExportManifest(
            format=FORMAT,
            stepvec=self._version,
            form="parquet",
            model=self._selection.model,
            dimension=state.dimension,
            numbers=self._request.numbers,
            rows=sum(file.rows for file in state.files),
            files=tuple(state.files),
            runs=state.runs,
            left_out=state.left_out,
            origin=self._source.origin,
            prefixes=self._selection.prefixes,
            keys=self._selection.keys,
            since=self._selection.since,
            started=state.started,
            finished=_now(),
            read_units=state.read_units,
        )


class _Reading:
    """The lanes of an export at work, and its state, kept whenever one of them has a whole file."""

    def __init__(
        self,
        source: Source,
        selection: Selection,
        target: Target,
        folder: Path,
        state: ExportState,
        footer: dict[str, str],
    ) -> None:
        self._source = source
        self._selection = selection
        self._target = target
        self._folder = folder
        self._state = state
        self._footer = footer
        self._dimension = Dimension(state.dimension)
        self._lock = threading.Lock()

    def run(self, on_rows: Callable[[int], None]) -> ExportState:
        """Run all lanes that are not done, and return the last state."""
        request = self._state.request
        orders = LaneOrders(
            source=self._source,
            selection=self._selection,
            numbers=request.numbers,
            footer=self._footer,
            stamp=f"{datetime.fromisoformat(self._state.started):%Y%m%dT%H%M%S%f}{self._state.owner}",
            file_bytes=request.file_bytes,
            folder=self._folder,
            dimension=self._dimension,
            keep=self._keep,
            on_rows=on_rows,
        )
        waiting = [(number, lane) for number, lane in enumerate(self._state.lanes) if not lane.is_done]
        _run_all([Lane(orders, number, lane).run for number, lane in waiting])
        return self._state

    def _keep(self, number: int, lane: LaneState, tally: Tally) -> None:
        for file in lane.files[len(self._state.lanes[number].files) :]:
            self._target.keep(self._folder / file.name)
        with self._lock:
            self._state = _with(self._state, number, lane, tally, self._dimension.known)
            self._target.write_state(codec.to_json(self._state).encode())


def _run_all(lanes: Sequence[Callable[[threading.Event], None]]) -> None:
    """Run the lanes in threads until all have ended. The first error of one, or Ctrl-C, ends the others."""
    stopped = threading.Event()
    with ThreadPoolExecutor(len(lanes) or 1, thread_name_prefix="export") as pool:
        pending: set[Future[None]] = {pool.submit(lane, stopped) for lane in lanes}
        try:
            while pending:
                done, pending = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        finally:
            stopped.set()


def _with(state: ExportState, number: int, lane: LaneState, tally: Tally, dimension: int) -> ExportState:
    whole = Tally(state.items, state.read_units)
    whole.runs.update(state.runs)
    whole.left_out.update(state.left_out)
    whole.add(tally)
    lanes = (*state.lanes[:number], lane, *state.lanes[number + 1 :])
    return replace(
        state,
        dimension=dimension,
        lanes=lanes,
        items=whole.items,
        read_units=whole.read_units,
        runs=dict(whole.runs),
        left_out=dict(whole.left_out),
    )


def _difference(one: ExportRequest, other: ExportRequest) -> str:
    names = (field.name for field in fields(ExportRequest))
    return ", ".join(name for name in names if getattr(one, name) != getattr(other, name))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


_RESTART: Final = "Give --restart to begin again: that deletes what it has written."
