"""Every CloudWatch metric of ours: name, unit, who writes it, and by what it is split.

Dashboard, the cost of metrics and the table of docs/operate.md go by this list; functions write by
`stepvec.adapters.telemetry.measure`. To add one: CONTRIBUTING.md, "A metric".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from stepvec.runs.outcome import FailureReason
from stepvec.runs.reports import SERVICES

NAMESPACE: Final = "Stepvec"
DEPLOYMENT_DIMENSION: Final = "service"
"""Every metric has it. Its value is the pipeline stack's name, so that deployments of one account never mix."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of ours. `unit` as CloudWatch spells it; `writer` is a function's package under lambdas/.

    dimension: a second dimension, each of whose `values` is a metric of its own to CloudWatch; "" if there is none.
    """

    name: str
    unit: Literal["Count", "Seconds", "Count/Second", "None"]
    writer: str
    about: str
    dimension: str = ""
    values: tuple[str, ...] = ()

    @property
    def paid(self) -> int:
        """Custom metrics that CloudWatch counts it as: one for each combination of dimensions."""
        return len(self.values) or 1


IMAGES_LISTED: Final = Metric("ImagesListed", "Count", "list_images", "Images that were listed")
IMAGES_UNCHANGED: Final = Metric("ImagesUnchanged", "Count", "shard_images", "Images whose row is there already")
SHARDS_MADE: Final = Metric("ShardsMade", "Count", "shard_images", "Shards that were cut")
SHARDS_VERIFIED: Final = Metric("ShardsVerified", "Count", "verify_shard", "Shards whose rows were counted")
IMAGES_EMBEDDED: Final = Metric("ImagesEmbedded", "Count", "verify_shard", "Images embedded and verified")
IMAGES_FAILED: Final = Metric("ImagesFailed", "Count", "verify_shard", "Images that failed with a reason")
IMAGES_MISSING: Final = Metric("ImagesMissing", "Count", "verify_shard", "Images without row and without reason")
RUN_SECONDS: Final = Metric("RunSeconds", "Seconds", "verify_run", "Duration of a run, at its end")
RUN_IMAGES_PER_SECOND: Final = Metric("RunImagesPerSecond", "Count/Second", "verify_run", "Images a second of a run")
IMAGES_FAILED_BY_REASON: Final = Metric(
    "ImagesFailedByReason",
    "Count",
    "verify_run",
    "Failed images by reason, at the end of a run",
    "reason",
    tuple(reason.value for reason in FailureReason),
)
RUN_USD: Final = Metric(
    "RunUsd", "None", "verify_run", "US dollars of a run by service, as far as prices are known", "part", SERVICES
)
UPLOADS_RECEIVED: Final = Metric("UploadsReceived", "Count", "start_on_upload", "Uploaded images that a run was given")
UPLOAD_MESSAGES_UNREAD: Final = Metric(
    "UploadMessagesUnread", "Count", "start_on_upload", "Upload messages that could not be read"
)
UPLOAD_EXECUTIONS_STARTED: Final = Metric(
    "UploadExecutionsStarted", "Count", "start_on_upload", "Runs that uploads started"
)

METRICS: Final = (
    IMAGES_LISTED,
    IMAGES_UNCHANGED,
    SHARDS_MADE,
    SHARDS_VERIFIED,
    IMAGES_EMBEDDED,
    IMAGES_FAILED,
    IMAGES_MISSING,
    RUN_SECONDS,
    RUN_IMAGES_PER_SECOND,
    IMAGES_FAILED_BY_REASON,
    RUN_USD,
    UPLOADS_RECEIVED,
    UPLOAD_MESSAGES_UNREAD,
    UPLOAD_EXECUTIONS_STARTED,
)
UPLOAD_METRICS: Final = (UPLOADS_RECEIVED, UPLOAD_MESSAGES_UNREAD, UPLOAD_EXECUTIONS_STARTED)
"""Those that only a deployment with the upload trigger has; no run writes them."""
MAX_RUN_METRICS: Final = sum(metric.paid for metric in METRICS if metric not in UPLOAD_METRICS)
"""Custom metrics that a run writes at the most; CloudWatch charges each for the hours in which it has values."""


def metrics_table() -> str:
    """METRICS as the table of docs/operate.md."""
    rows = [
        f"| `{metric.name}` | {metric.unit} | {f'`{metric.dimension}`' if metric.dimension else ''} | {metric.paid} "
        f"| `{metric.writer}` | {metric.about} |"
        for metric in METRICS
    ]
    header = ["| Metric | Unit | Split by | Custom metrics | Written by | |", "|---|---|---|---|---|---|"]
    return "\n".join([*header, *rows]) + "\n"
