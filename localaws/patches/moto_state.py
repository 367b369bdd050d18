"""moto's state, which is global to the process: made new for each embedded AWS, brought to rest at its end."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from moto.batch.models import batch_backends
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.config import default_user_config
from moto.moto_api._internal.models import MotoAPIBackend
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

ACCOUNT: Final[str] = DEFAULT_ACCOUNT_ID
"""The account of every embedded AWS."""

_SETTINGS: Final = {
    "stepfunctions": {"execute_state_machine": True},
    "iam": {"load_aws_managed_policies": True},
}


def reset_moto(account: str, region: str) -> None:
    """Forgets everything that moto holds, and sets it up for an embedded AWS."""
    default_user_config.update(_SETTINGS)
    MotoAPIBackend(region, account).reset()
    logger = logging.getLogger("moto")
    if not logger.handlers:
        # What moto warns of would otherwise go to the terminal, by logging's last resort.
        logger.addHandler(logging.NullHandler())


def stop_work(account: str, region: str) -> None:
    """Tells every job and execution to end: their threads would go on against a reset moto."""
    for job in list(batch_backends[account][region]._jobs.values()):
        job.stop = True
    for machine in stepfunctions_parser_backends[account][region].state_machines:
        for execution in machine.executions:
            if execution.status == "RUNNING" and execution.exec_worker.env is not None:
                execution.stop(datetime.now(tz=UTC), error=None, cause="The embedded AWS was closed.")


class MotoLogs:
    """moto's CloudWatch Logs, for what processes write (`localaws.log_stream.LogSink`)."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def create(self, group: str, stream: str) -> None:
        """Makes the group and the stream where they are not there yet."""
        self._backend.ensure_log_group(group)
        self._backend.ensure_log_stream(group, stream)

    def put(self, group: str, stream: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Appends events; a group or stream that was deleted swallows them."""
        known = self._backend.groups.get(group)
        if known is not None and stream in known.streams:
            self._backend.put_log_events(group, stream, events)
