"""Runs a Batch job as a local process: its place in the queue, its attempts, their timeouts and their end."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from moto.batch.utils import JobStatus

from localaws.batch.container import ATTEMPT_VARIABLE, Container, job_vcpus, prepare_container
from localaws.batch.retry import AttemptEnd, attempts_allowed, is_retried
from localaws.context import Context
from localaws.errors import LocalCloudError
from localaws.log_stream import LogPump, LogStream
from localaws.processes import Child

ENDED: Final = "Essential container in task exited"
TIMED_OUT: Final = "Job attempt duration exceeded timeout"
HOST_LOST: Final = "Host EC2 (instance i-local) terminated."

_CHECK_SECONDS: Final = 0.05
_LOG_JOIN_SECONDS: Final = 5.0
_LOGGER: Final = logging.getLogger(__name__)


class JobRunner:
    """Runs one of moto's jobs from RUNNABLE to its end, in the job's own thread."""

    def __init__(self, context: Context, job: Any, strategy: Mapping[str, Any]) -> None:
        self._context = context
        self._job = job
        self._strategy = strategy

    def run(self) -> None:
        """Runs the job; whatever goes wrong makes it FAILED with the reason."""
        job = self._job
        try:
            if job.depends_on and not job._wait_for_dependencies():
                return
            job._status = JobStatus.RUNNABLE
            with self._context.slots.taken(job_vcpus(job), lambda: job.stop) as taken:
                if not taken:
                    self._finish(succeeded=False)
                    return
                self._run_attempts(prepare_container(self._context, job))
        except LocalCloudError as error:
            job.job_stopped_reason = f"CannotStartContainerError: {error}"
            self._finish(succeeded=False)
        except Exception as error:
            # The thread's last frame: nobody above could tell the job's owner.
            if not self._context.closing.is_set():
                _LOGGER.exception("job %s could not run", job.job_id)
            job.job_stopped_reason = f"CannotStartContainerError: {error}"
            self._finish(succeeded=False)

    def _run_attempts(self, container: Container) -> None:
        job = self._job
        allowed = attempts_allowed(self._strategy)
        for number in range(1, allowed + 1):
            end = self._attempt(container, number)
            job.job_stopped_reason = end.status_reason
            if end.exit_code == 0 and end.status_reason == ENDED:
                self._finish(succeeded=True)
                return
            # A job that ran out of time or was terminated is not retried, whatever the rules say.
            if job.stop or end.status_reason == TIMED_OUT or number == allowed:
                break
            if not is_retried(self._strategy, end):
                break
            job.host_lost = False
            job._status = JobStatus.RUNNABLE
        self._finish(succeeded=False)

    def _attempt(self, container: Container, number: int) -> AttemptEnd:
        job = self._job
        job._status = JobStatus.STARTING
        job.log_stream_name = container.new_log_stream_name()
        stream = LogStream(job._log_backend, container.log_group, job.log_stream_name)
        child = self._context.children.start(
            container.command,
            environment={**container.environment, ATTEMPT_VARIABLE: str(number)},
            folder=container.folder,
        )
        pump = LogPump(child.output, stream)
        job.job_started_at = datetime.now()
        job._start_attempt()
        job._status = JobStatus.RUNNING
        status_reason = self._wait(child)
        self._context.children.ended(child)
        pump.join(_LOG_JOIN_SECONDS)
        return self._record_end(child.return_code, status_reason)

    def _wait(self, child: Child) -> str:
        """Waits for the process and stops it where it must; gives the status reason."""
        job = self._job
        limit = job._get_attempt_duration()
        end = time.monotonic() + limit if limit else None
        while not child.wait(_CHECK_SECONDS):
            if job.stop:
                reason = job.job_stopped_reason or "Terminated"
            elif getattr(job, "host_lost", False):
                reason = HOST_LOST
            elif end is not None and time.monotonic() > end:
                reason = TIMED_OUT
            else:
                continue
            child.stop(self._context.stop_grace_seconds)
            return str(reason)
        return ENDED

    def _record_end(self, return_code: int | None, status_reason: str) -> AttemptEnd:
        job = self._job
        # A container that a signal ended reports 128 + the signal's number: 137 for SIGKILL, 143 for SIGTERM.
        code = return_code if return_code is None or return_code >= 0 else 128 - return_code
        job.exit_code = code
        job.job_stopped_at = datetime.now()
        attempt = job.latest_attempt
        attempt["container"].update(exitCode=code, logStreamName=job.log_stream_name)
        attempt["statusReason"] = status_reason
        job._stop_attempt()
        return AttemptEnd(exit_code=code, reason="", status_reason=status_reason)

    def _finish(self, *, succeeded: bool) -> None:
        self._job._mark_stopped(success=succeeded)
