"""Entry of the StartOnUpload function."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.start_on_upload.uploads import Batch, dump_manifest, read_batch
from stepvec.adapters.clients import s3_client, states_client
from stepvec.adapters.environment import read_environment
from stepvec.adapters.executions import Executions
from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.telemetry import logger, measure, metrics
from stepvec.metrics import UPLOAD_EXECUTIONS_STARTED, UPLOAD_MESSAGES_UNREAD, UPLOADS_RECEIVED
from stepvec.runs.layout import UPLOADS, S3Uri
from stepvec.runs.run_input import read_suffixes


@dataclass(frozen=True, slots=True)
class Settings:
    """The function's environment."""

    image_bucket: str
    work_bucket: str
    state_machine_arn: str
    suffixes: str = ""
    """Suffixes beside those of images, separated by commas."""
    max_failures: int = -1
    """How many uploads of a run may newly fail before it does; below 0: all of them."""


settings = read_environment(Settings, os.environ)
store = ObjectStore(s3_client())
executions = Executions(states_client(), settings.state_machine_arn)


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - the runtime passes it
    """An SQS event -> the messages that cannot be read, which SQS redelivers, then moves to the dead-letter queue.

    Not Powertools' BatchProcessor: that handles message by message, and here all of them become one execution. If
    S3 or Step Functions refuse, the error is raised, and SQS delivers the whole batch again.
    """
    batch = read_batch(event["Records"], bucket=settings.image_bucket, suffixes=read_suffixes(settings.suffixes))
    for message_id, problem in batch.unread.items():
        logger.error("message not read", message_id=message_id, problem=problem)
    started = bool(batch.images) and _start(batch)
    measure(UPLOADS_RECEIVED, len(batch.images))
    measure(UPLOAD_MESSAGES_UNREAD, len(batch.unread))
    measure(UPLOAD_EXECUTIONS_STARTED, int(started))
    logger.info("uploads", execution=batch.name, images=len(batch.images), ignored=batch.ignored, started=started)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in batch.unread]}


def _start(batch: Batch) -> bool:
    manifest = S3Uri(settings.work_bucket, f"{UPLOADS}{batch.name}.jsonl")
    # Before the execution, which reads it; a redelivery writes the same bytes again.
    store.write(
        manifest, dump_manifest(batch.images, bucket=settings.image_bucket), content_type="application/x-ndjson"
    )
    run_input = {
        "Manifest": str(manifest),
        # An upload may be gone, overwritten or broken by now, which should not alarm anybody: the report names
        # it, and the others are embedded. What is missing still fails the run (docs/decisions/0021).
        "MaxFailures": len(batch.images) if settings.max_failures < 0 else settings.max_failures,
    }
    return executions.start(batch.name, json.dumps(run_input)) is not None
