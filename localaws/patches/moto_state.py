"""moto's state, which is global to the process: made new for each embedded AWS, brought to rest at its end."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

from moto.batch.models import batch_backends
from moto.core.config import default_user_config
from moto.moto_api._internal.models import MotoAPIBackend
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

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
