"""Pages of AWS's console: where a person looks at an execution, and at a job's log."""

from __future__ import annotations

import string
from typing import Final

_CONSOLES: Final = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}
"""Of the partitions that have another than console.aws.amazon.com."""
_UNRESERVED: Final = frozenset(string.ascii_letters + string.digits + "-._~")


def execution_link(execution_arn: str) -> str:
    """The page of an execution, or of a Map's child; "" without an ARN."""
    if not execution_arn:
        return ""
    _, partition, _, region, *_ = execution_arn.split(":")
    return f"{console(partition, region)}/states/home?region={region}#/v2/executions/details/{execution_arn}"


def log_link(execution_arn: str, group: str, stream: str) -> str:
    """The page of a log stream in the execution's region; "" if either is missing."""
    if not execution_arn or not stream:
        return ""
    _, partition, _, region, *_ = execution_arn.split(":")
    page = f"log-groups/log-group/{_fragment(group)}/log-events/{_fragment(stream)}"
    return f"{console(partition, region)}/cloudwatch/home?region={region}#logsV2:{page}"


def console(partition: str, region: str) -> str:
    """The beginning of every page of the console in `region`."""
    return f"https://{region}.{_CONSOLES.get(partition, 'console.aws.amazon.com')}"


def _fragment(name: str) -> str:
    """As the CloudWatch console writes names after the #: escaped twice, the second time with $ for %."""
    return _escape(_escape(name)).replace("%", "$")


def _escape(text: str) -> str:
    return "".join(chr(byte) if chr(byte) in _UNRESERVED else f"%{byte:02X}" for byte in text.encode())
