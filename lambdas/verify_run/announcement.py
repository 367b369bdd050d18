"""The message that ends a run: its counts, to the deployment's topic."""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from stepvec.adapters.telemetry import logger
from stepvec.limits import SUBJECT_CHARACTERS
from stepvec.runs.reports import RunReport

_ELLIPSIS: Final = "..."


def announce(client: Any, topic_arn: str, report: RunReport, *, where: str) -> None:
    """Publish the result in `report`, which is stored at `where`.

    A message that cannot be sent is logged, not raised: the run's result is its report, and the state machine must not
    fail for a mailbox.
    """
    try:
        client.publish(TopicArn=topic_arn, Subject=subject_of(report), Message=text_of(report, where=where))
    except (BotoCoreError, ClientError) as error:
        logger.warning("the run's message could not be sent", topic=topic_arn, error=str(error))


def subject_of(report: RunReport) -> str:
    """One line of ASCII, as SNS requires; execution names may contain any letters."""
    answer = "complete" if report.complete else "INCOMPLETE"
    line = f"Stepvec: {answer}, {report.embedded} embedded, run {report.run}"
    line = line.encode("ascii", "replace").decode()
    cut = SUBJECT_CHARACTERS - len(_ELLIPSIS) - 1
    return line if len(line) < SUBJECT_CHARACTERS else line[:cut] + _ELLIPSIS


def text_of(report: RunReport, *, where: str) -> str:
    """The counts, failures by reason, what was ignored by suffix, speed, and where the report is."""
    parts = {
        "Failed by reason:": report.failed_by_reason,
        "Failed in an earlier run, and not tried again:": report.failed_before_by_reason,
        "Ignored by suffix:": report.ignored_by_suffix,
    }
    return "\n".join(
        [
            report.message,
            *(
                line
                for title, counts in parts.items()
                if counts
                for line in (title, *(f"  {name}: {count}" for name, count in counts.items()))
            ),
            f"{report.images_per_second} images/s, {report.seconds} seconds.",
            f"{report.shards} shards, {report.shards_failed} with an error.",
            f"Model {report.model}, table {report.table}.",
            f"Report: {where}",
        ]
    )
