"""A run's files are those of one execution, though Step Functions lets its name be used again."""

from __future__ import annotations

from stepvec import codec
from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import InvalidInputError
from stepvec.runs.layout import RunLayout
from stepvec.runs.steps import RunStart


def claim_run(store: ObjectStore, layout: RunLayout, started: str) -> None:
    """Take the run's folder for the execution that began at `started`; again for the same one changes nothing.

    A name is free again after 90 days (https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html),
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
