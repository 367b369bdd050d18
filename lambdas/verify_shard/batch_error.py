"""What Step Functions says of a Batch job that failed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

ERROR_CHARACTERS: Final = 700


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
