"""The last words of a job that failed, for the report: what the worker logged before it ended."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from stepvec.adapters.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

LINES: Final = 20


def last_words(client: CloudWatchLogsClient, group: str, stream: str) -> str:
    """The last error that the log stream holds, or its last line; "" where it cannot be read.

    A log that cannot be read must not hide the counts, so it is only warned of.
    """
    try:
        events = client.get_log_events(logGroupName=group, logStreamName=stream, limit=LINES)["events"]
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
