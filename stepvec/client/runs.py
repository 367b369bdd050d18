"""Runs of a deployed pipeline: start one, see how far it is, wait for its end, read what it left."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from stepvec import codec
from stepvec.adapters.executions import RUNNING, SUCCEEDED, execution_arn
from stepvec.adapters.object_store import ObjectStore
from stepvec.client.deployment import Deployment
from stepvec.errors import InvalidInputError, StorageError
from stepvec.pacing import MAX_POLL_SECONDS
from stepvec.runs.layout import RunLayout, check_run_name
from stepvec.runs.outcome import ImageFailure
from stepvec.runs.reports import RunReport, ShardProgress, ShardReport
from stepvec.runs.run_input import parse_run_input
from stepvec.runs.steps import ShardEntry

LOCAL_POLL_SECONDS: Final = 0.25
POLL_SECONDS: Final = 2.0
"""Between the first two questions to AWS about a run; each pause is a tenth longer than the one before."""
POLL_GROWTH: Final = 1.1
_THREADS: Final = 8
"""That read a run's files."""


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How an execution ended. `report` is there once VerifyRun ran."""

    run: str
    status: str
    error: str
    cause: str
    report: RunReport | None


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is. `to_embed` is 0 until ShardImages is done."""

    to_embed: int
    embedded: int
    failed: int


class Run:
    """One execution of a deployment's state machine."""

    def __init__(self, deployment: Deployment, name: str) -> None:
        self.name = name
        self.layout = RunLayout(deployment.work_bucket, name)
        self._deployment = deployment
        self._store = ObjectStore(deployment.client("s3"))
        self._shards: list[ShardEntry] | None = None
        self._progress: dict[str, tuple[str, ShardProgress]] = {}

    @property
    def arn(self) -> str:
        """The execution's ARN."""
        return execution_arn(self._deployment.state_machine_arn, self.name)

    def start(self, run_input: dict[str, Any]) -> str:
        """Start the execution; its status. Raises InvalidInputError where the name is taken or AWS refuses it."""
        check_run_name(self.name)
        client = self._deployment.client("stepfunctions")
        machine = self._deployment.state_machine_arn
        try:
            client.start_execution(stateMachineArn=machine, name=self.name, input=json.dumps(run_input))
        except client.exceptions.ExecutionAlreadyExists as error:
            raise InvalidInputError(
                f"There is a run named {self.name!r} already.", remedy="Choose another name."
            ) from error
        return RUNNING

    def check_input(self, run_input: dict[str, Any]) -> None:
        """Raises InvalidInputError for an input that the run would fail with at its first step."""
        parse_run_input(
            run_input,
            image_bucket=self._deployment.image_bucket,
            work_bucket=self._deployment.work_bucket,
            default_shard_size=1,
        )

    def wait(self, on_progress: Callable[[RunProgress], None] = lambda _: None) -> RunEnd:
        """Wait until the execution ends, reporting its progress on the way."""
        pauses = poll_pauses(local=self._deployment.is_local)
        while (ended := self.ended()) is None:
            on_progress(self.progress())
            time.sleep(next(pauses))
        return ended

    def ended(self) -> RunEnd | None:
        """How the execution ended; None while it runs. Raises InvalidInputError where there is no such run."""
        client = self._deployment.client("stepfunctions")
        try:
            execution = client.describe_execution(executionArn=self.arn)
        except client.exceptions.ExecutionDoesNotExist as error:
            raise InvalidInputError(f"There is no run {self.name!r}.", remedy="See `stepvec status`.") from error
        if execution["status"] == RUNNING:
            return None
        report = self._store.find_record(RunReport, self.layout.report)
        return RunEnd(self.name, execution["status"], execution.get("error", ""), execution.get("cause", ""), report)

    def stop(self) -> None:
        """Stop the execution; Step Functions terminates its jobs."""
        self._deployment.client("stepfunctions").stop_execution(
            executionArn=self.arn, error="Cancelled", cause="Stopped by `stepvec cancel`."
        )

    def progress(self) -> RunProgress:
        """How far the run is, from the files that it has written so far."""
        if self._shards is None:
            if not self._store.exists(self.layout.shards):
                return RunProgress(0, 0, 0)
            with self._store.open(self.layout.shards) as stream:
                self._shards = codec.from_json(list[ShardEntry], stream.read(), where=str(self.layout.shards))
        self._read_progress()
        parts = [progress for _, progress in self._progress.values()]
        return RunProgress(
            to_embed=sum(entry.images for entry in self._shards),
            embedded=sum(part.embedded + part.unchanged for part in parts),
            failed=sum(part.failed for part in parts),
        )

    def report(self) -> RunReport:
        """The run's report. Raises InvalidInputError while the run is going, and where it ended without a report."""
        ended = self.ended()
        if ended is None:
            raise InvalidInputError(
                f"The run {self.name} is still going.",
                remedy=f"Wait for its end (stepvec status {self.name}), or stop it (stepvec cancel {self.name}).",
            )
        if ended.report is None and ended.status == SUCCEEDED:
            raise StorageError(
                f"The run {self.name} succeeded, and its report is gone: there is no {self.layout.report}.",
                remedy="If its bucket is gone too, deploy again; then start its paths again: what is stored costs next "
                "to nothing.",
            )
        if ended.report is None:
            raise InvalidInputError(
                f"The run {self.name} ended {ended.status} without a report: {ended.error} {ended.cause}".strip(),
                remedy="Correct what it names and start its paths again: what is stored costs next to nothing.",
            )
        return ended.report

    def failures(self) -> bytes:
        """The run's failures.jsonl."""
        with self._store.open(self.layout.failures) as stream:
            return stream.read()

    def failure_records(self) -> Iterator[ImageFailure]:
        """The run's failures, one by one."""
        with self._store.open(self.layout.failures) as stream:
            for line in stream:
                yield codec.from_json(ImageFailure, line, where=str(self.layout.failures))

    def shard_reports(self, shards: int, *, most: int) -> Sequence[ShardReport]:
        """The workers' reports on the run's `shards`, or on `most` of them, spread evenly over the run.

        A shard whose worker never came to write one is left out.
        """
        numbers = range(shards) if shards <= most else [number * shards // most for number in range(most)]
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(
                lambda number: self._store.find_record(ShardReport, self.layout.shard_report(number)), numbers
            )
        return [report for report in found if report is not None]

    def report_text(self) -> bytes:
        """The run's report.json."""
        with self._store.open(self.layout.report) as stream:
            return stream.read()

    def _read_progress(self) -> None:
        """Read the progress files that changed."""
        prefix = self.layout.progress(0).key.removesuffix("0.json")
        for page in self._store.list_pages(self.layout.bucket, prefix):
            for entry in page.objects:
                if self._progress.get(entry.key, ("", None))[0] != entry.etag:
                    number = int(entry.key.removeprefix(prefix).removesuffix(".json"))
                    record = self._store.read_record(ShardProgress, self.layout.progress(number))
                    self._progress[entry.key] = (entry.etag, record)


def poll_pauses(*, local: bool) -> Iterator[float]:
    """Seconds to wait between questions about a run: growing on AWS, short on this machine."""
    pause = LOCAL_POLL_SECONDS if local else POLL_SECONDS
    while True:
        yield pause
        pause = pause if local else min(MAX_POLL_SECONDS, pause * POLL_GROWTH)


def list_runs(deployment: Deployment, count: int) -> list[tuple[str, str, datetime]]:
    """Name, status and start of the `count` newest runs, newest first."""
    answer = deployment.client("stepfunctions").list_executions(
        stateMachineArn=deployment.state_machine_arn, maxResults=count
    )
    return [(entry["name"], entry["status"], entry["startDate"]) for entry in answer["executions"]]
