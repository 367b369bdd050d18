"""Entry of the VerifyRun function."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.verify_run.aggregator import Pipeline, verify_run
from stepvec import codec
from stepvec.adapters.clients import s3_client
from stepvec.adapters.object_store import ObjectStore
from stepvec.environment import read_environment
from stepvec.layout import RunLayout
from stepvec.records.steps import ShardingState
from stepvec.telemetry import logger, metrics


@dataclass(frozen=True, slots=True)
class Settings:
    """The function's environment."""

    image_bucket: str
    work_bucket: str
    table: str
    model: str
    vector_type: str
    vcpu_hour_usd: float = 0.0


settings = read_environment(Settings, os.environ)
store = ObjectStore(s3_client(connections=32))


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> Any:  # noqa: ARG001 - the runtime passes it
    """The ShardingState of ShardImages -> `{complete, message, report, counts...}`; writes the run's report."""
    state = codec.from_document(ShardingState, event, where="state of VerifyRun")
    layout = RunLayout(settings.work_bucket, state.run)
    pipeline = Pipeline(
        settings.image_bucket, settings.table, settings.model, settings.vector_type, settings.vcpu_hour_usd
    )
    report = verify_run(store, layout, state, pipeline)
    metrics.add_metric("RunSeconds", MetricUnit.Seconds, report.seconds)
    metrics.add_metric("RunImagesPerSecond", MetricUnit.CountPerSecond, report.images_per_second)
    logger.info("run verified", run=report.run, complete=report.complete, answer=report.message)
    return {
        "run": report.run,
        "complete": report.complete,
        "message": f"{report.message} Report: {layout.report}",
        "report": str(layout.report),
        "listed": report.listed,
        "embedded": report.embedded,
        "unchanged": report.unchanged,
        "failed": report.failed,
        "missing": report.missing,
        "found": report.found,
        "seconds": report.seconds,
        "images_per_second": report.images_per_second,
    }
