"""Files of a run that several functions read: the input of its execution, and when that execution began."""

from __future__ import annotations

import json
from datetime import datetime

from stepvec import codec
from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import InvalidInputError
from stepvec.runs.layout import RunLayout
from stepvec.runs.run_input import RunInput, parse_normal_form
from stepvec.runs.steps import RunStart


def claim_run(store: ObjectStore, layout: RunLayout, started: str) -> None:
    """Claim the run's folder for the execution that began at `started`; again for the same one changes nothing.

    Step Functions frees a name after 90 days (https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html),
    and the files of its first run are still there: what a shard's worker once reported must not count for another.
    Raises InvalidInputError where another execution has the folder.
    """
    if store.write_if_absent(layout.started, codec.to_json(RunStart(started)).encode()):
        return
    before = store.read_record(RunStart, layout.started).started
    if before != started:
        raise InvalidInputError(
            f"The name {layout.run!r} is that of the run of {before}, whose files are kept.",
            remedy="Start the execution with another name.",
        )


def read_run_start(store: ObjectStore, layout: RunLayout) -> datetime:
    """When the run's execution began. Raises RecordError where its file says something else."""
    return datetime.fromisoformat(store.read_record(RunStart, layout.started).started)


def write_run_input(store: ObjectStore, layout: RunLayout, run_input: RunInput) -> None:
    """Write the run's input in its normal form."""
    store.write(layout.input, json.dumps(run_input.to_document(), ensure_ascii=False).encode())


def read_run_input(store: ObjectStore, layout: RunLayout) -> RunInput:
    """The run's input, as ListImages checked it. Raises RecordError for a file that it did not write."""
    with store.open(layout.input) as stream:
        return parse_normal_form(stream.read(), where=str(layout.input))
