"""Entry of the StartByHttp function."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.start_by_http.requests import (
    InputTooLargeError,
    answer_report,
    answer_run,
    read_input,
    read_name,
    refuse,
    write_input,
)
from stepvec.adapters.clients import s3_client, states_client
from stepvec.adapters.environment import read_environment
from stepvec.adapters.executions import RUNNING, Execution, Executions
from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.telemetry import logger
from stepvec.errors import InvalidInputError, StorageError
from stepvec.runs.http_start import HttpRun
from stepvec.runs.layout import RunLayout, check_run_name
from stepvec.runs.run_input import parse_run_input, read_suffixes

ATTEMPTS: Final = 3
"""Of each request to AWS: API Gateway waits for 30 seconds, and whoever asks may ask again."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The function's environment."""

    image_bucket: str
    work_bucket: str
    state_machine_arn: str
    shard_size: int
    suffixes: str = ""
    """Suffixes beside those of images, separated by commas, where an input names none."""


settings = read_environment(Settings, os.environ)
store = ObjectStore(s3_client(attempts=ATTEMPTS))
executions = Executions(states_client(attempts=ATTEMPTS), settings.state_machine_arn)


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - the runtime passes it
    """An event of the HTTP API (payload format 2.0) -> its response. Never raises for what a client sends."""
    try:
        return _ROUTES[event["routeKey"]](event)
    except InputTooLargeError as error:
        return refuse("InputTooLarge", str(error))
    except InvalidInputError as error:
        return refuse("InvalidInput", str(error))
    except StorageError as error:
        # What AWS says of us is for the log, not for whoever calls.
        logger.exception("refused by AWS", route=event["routeKey"])
        return refuse("Unavailable", f"{type(error).__name__}: AWS did not answer as it should. Send the same again.")


def start(event: dict[str, Any]) -> dict[str, Any]:
    """POST /runs: the input is checked as the run's first step would, and nothing is started if it is wrong."""
    name = read_name(event)
    document = read_input(event)
    parse_run_input(
        document,
        image_bucket=settings.image_bucket,
        work_bucket=settings.work_bucket,
        default_shard_size=settings.shard_size,
        default_suffixes=read_suffixes(settings.suffixes),
    )
    run_input = write_input(document)
    started = executions.start(name, run_input)
    if started is not None:
        logger.info("started", run=name)
        return answer_run(HttpRun(name, RUNNING, _iso(started)), 202)
    earlier = executions.find(name)
    if earlier is None:
        return refuse("Unavailable", "The run's name is taken, and the run is not there yet. Send the same again.")
    if earlier.input != run_input:
        return refuse("TokenUsed", f"The run {name} has another input. Use another Idempotency-Key for this one.")
    return answer_run(_run(name, earlier), 200)


def status(event: dict[str, Any]) -> dict[str, Any]:
    """GET /runs/RUN, of whatever started it."""
    name = event["pathParameters"]["run"]
    execution = _find(name)
    return _no_such_run(name) if execution is None else answer_run(_run(name, execution), 200)


def report(event: dict[str, Any]) -> dict[str, Any]:
    """GET /runs/RUN/report: report.json as it is."""
    name = event["pathParameters"]["run"]
    execution = _find(name)
    if execution is None:
        return _no_such_run(name)
    if execution.status == RUNNING:
        return refuse("NoReport", f"The run {name} is still going. Ask for its report when its status says otherwise.")
    uri = RunLayout(settings.work_bucket, name).report
    if not store.exists(uri):
        told = f"The run {name} ended {execution.status} without a report: {execution.error} {execution.cause}"
        return refuse("NoReport", told.strip())
    with store.open(uri) as stream:
        return answer_report(stream.read().decode())


_ROUTES: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "POST /runs": start,
    "GET /runs/{run}": status,
    "GET /runs/{run}/report": report,
}


def _find(name: str) -> Execution | None:
    try:
        check_run_name(name)
    except InvalidInputError:
        return None  # no run can be called so
    return executions.find(name)


def _no_such_run(name: str) -> dict[str, Any]:
    return refuse("NoSuchRun", f"There is no run {name[:80]!r}.")


def _run(name: str, execution: Execution) -> HttpRun:
    return HttpRun(name, execution.status, _iso(execution.started), execution.error, execution.cause)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
