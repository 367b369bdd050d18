"""Entry of the VerifyRun function."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.verify_run.aggregator import verify_run
from lambdas.verify_run.announcement import publish_message, send_event
from lambdas.verify_run.cost import Pipeline
from stepvec import codec
from stepvec.adapters.clients import events_client, s3_client, sns_client
from stepvec.adapters.environment import read_environment
from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.telemetry import logger, measure, measure_part, metrics
from stepvec.estimate.capacity import Capacity
from stepvec.metrics import IMAGES_FAILED_BY_REASON, RUN_IMAGES_PER_SECOND, RUN_SECONDS, RUN_USD
from stepvec.rows.item import vector_type
from stepvec.runs.layout import RunLayout
from stepvec.runs.reports import RunReport
from stepvec.runs.steps import ShardingState, read_task_input


@dataclass(frozen=True, slots=True)
class Settings:
    """The function's environment."""

    image_bucket: str
    work_bucket: str
    table: str
    model: str
    vector_type: str
    topic_arn: str
    deployment: str
    """The pipeline stack's name: the event has it, so that rules can tell deployments."""
    capacity: str
    """A Capacity, as JSON."""


settings = read_environment(Settings, os.environ)
store = ObjectStore(s3_client(connections=32))
topic = sns_client()
events = events_client()
pipeline = Pipeline(
    settings.image_bucket,
    settings.table,
    settings.model,
    vector_type(settings.vector_type),
    codec.from_json(Capacity, settings.capacity, where="STEPVEC_CAPACITY"),
)


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> Any:  # noqa: ARG001 - the runtime passes it
    """A TaskInput with a ShardingState -> `{complete, message, report, counts...}`; writes the run's report."""
    given = read_task_input(event, model=settings.model, table=settings.table, vector_type=settings.vector_type)
    state = codec.from_document(ShardingState, given.state, where="state of VerifyRun")
    layout = RunLayout(settings.work_bucket, state.run)
    of_run = replace(pipeline, model=given.model, table=given.table, vector_type=vector_type(given.vector_type))
    report = verify_run(store, layout, state, of_run, execution=given.execution)
    _measure(report)
    logger.info("run verified", run=report.run, complete=report.complete, answer=report.message)
    publish_message(topic, settings.topic_arn, report, where=str(layout.report))
    answer = _answer(report, str(layout.report))
    send_event(events, given.execution, {"deployment": settings.deployment, **answer, **_more(report)})
    return answer


def _answer(report: RunReport, where: str) -> dict[str, Any]:
    return {
        "run": report.run,
        "complete": report.complete,
        "message": f"{report.message} Report: {where}",
        "report": where,
        "listed": report.listed,
        "embedded": report.embedded,
        "unchanged": report.unchanged,
        "failed": report.failed,
        "failed_before": report.failed_before,
        "missing": report.missing,
        "found": report.found,
        **({} if report.indexed is None else {"indexed": report.indexed}),
        "uniform": report.uniform,
        "ignored": report.ignored,
        "ignored_by_suffix": report.ignored_by_suffix,
        "seconds": report.seconds,
        "images_per_second": report.images_per_second,
    }


def _more(report: RunReport) -> dict[str, Any]:
    """What the event has beside the execution's output."""
    return {
        "failed_by_reason": dict(report.failed_by_reason),
        "model": report.model,
        "table": report.table,
        "image_bucket": report.image_bucket,
        "started": report.started,
        "finished": report.finished,
        "total_usd": report.cost.total_usd,
    }


def _measure(report: RunReport) -> None:
    measure(RUN_SECONDS, report.seconds)
    measure(RUN_IMAGES_PER_SECOND, report.images_per_second)
    for reason, count in report.failed_by_reason.items():
        measure_part(IMAGES_FAILED_BY_REASON, reason, count)
    for part, usd in report.cost.usd.items():
        # An unknown price is not written as a metric: 0 would be wrong. Nor is an index's part, which would be one more
        # metric that every deployment pays for.
        if not isinstance(usd, str) and part in RUN_USD.values:
            measure_part(RUN_USD, part, usd)
