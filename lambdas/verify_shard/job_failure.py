"""Why a Batch job failed: what Step Functions says of it, and its worker's last log lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from stepvec.adapters.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

ERROR_CHARACTERS: Final = 700
LOG_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a shard's job failed, in one line, and its last attempt's log stream ("" where no attempt had one)."""

    text: str
    log_stream: str

    def with_last_words(self, words: str) -> str:
        """The error for the report: bounded, with what the worker logged last."""
        return (f"{self.text} {words}" if words else self.text)[:ERROR_CHARACTERS]


def read_job_error(error: Mapping[str, Any]) -> JobError:
    """The status reason, exit code and log stream of the job in `error` (`{"Error", "Cause"}`).

    For `batch:submitJob.sync` the Cause is the job's description as JSON; for other errors it is text.
    """
    name, cause = str(error.get("Error", "")), str(error.get("Cause", ""))
    try:
        job = json.loads(cause)
        attempts = job["Attempts"]
        container = attempts[-1]["Container"]
        reason = job.get("StatusReason", "")
        log_stream = container.get("LogStreamName", "")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return JobError(f"{name}: {cause}"[:ERROR_CHARACTERS], "")
    details = [
        f"job {job.get('JobId', '?')}",
        f"attempts {len(attempts)}",
        f"exit code {container.get('ExitCode', 'none')}",
        f"log stream {log_stream or 'none'}",
    ]
    return JobError(f"{name}: {reason} ({', '.join(details)})", log_stream)


def last_words(client: CloudWatchLogsClient, group: str, stream: str) -> str:
    """The last error that the log stream holds, or its last line; "" where it cannot be read.

    A log that cannot be read must not hide the counts, so it is only warned of.
    """
    try:
        events = client.get_log_events(logGroupName=group, logStreamName=stream, limit=LOG_LINES)["events"]
    except (ClientError, BotoCoreError) as error:
        logger.warning("the job's log cannot be read", stream=stream, error=str(error))
        return ""
    return pick([event["message"] for event in events])


def pick(lines: Iterable[str]) -> str:
    """The error in the last of `lines` that has one (Powertools' JSON), or else the last line."""
    found = ""
    last = ""
    for line in lines:
        last = line
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        if isinstance(fields, dict) and fields.get("exception"):
            found = str(fields["exception"]).strip().splitlines()[-1]
    return found or last
