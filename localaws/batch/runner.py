"""Runs a Batch job as a local process: its place in the queue, its attempts, their timeouts and their end."""

from __future__ import annotations

import logging
import time
from typing import Final

from localaws.batch.container import ATTEMPT_VARIABLE, Container, prepare_container
from localaws.batch.job import BatchHost, Job
from localaws.batch.retry import AttemptEnd, attempts_allowed, is_retried
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
    """Runs a job from RUNNABLE to its end, in the job's own thread."""

    def __init__(self, host: BatchHost, job: Job) -> None:
        self._host = host
        self._job = job

    def run(self) -> None:
        """Runs the job; whatever goes wrong makes it FAILED with the reason."""
        job = self._job
        try:
            if not job.wait_for_dependencies():
                return
            job.become_runnable()
            with self._host.slots.taken(job.vcpus, lambda: job.stopped_reason is not None) as taken:
                if taken:
                    self._run_attempts(prepare_container(self._host, job))
                else:
                    job.finish(succeeded=False)
        except LocalCloudError as error:
            job.finish(succeeded=False, status_reason=f"CannotStartContainerError: {error}")
        except Exception as error:
            # Last frame of the thread: nobody above could tell the owner of the job.
            if not self._host.context.closing.is_set():
                _LOGGER.exception("job %s could not run", job.job_id)
            job.finish(succeeded=False, status_reason=f"CannotStartContainerError: {error}")

    def _run_attempts(self, container: Container) -> None:
        job = self._job
        allowed = attempts_allowed(job.retry_strategy)
        for number in range(1, allowed + 1):
            end = self._attempt(container, number)
            if end.exit_code == 0 and end.status_reason == ENDED:
                job.finish(succeeded=True)
                return
            # A job that ran out of time or was terminated is not retried, whatever the rules say.
            if job.stopped_reason is not None or end.status_reason == TIMED_OUT or number == allowed:
                break
            if not is_retried(job.retry_strategy, end):
                break
            job.become_runnable()
        job.finish(succeeded=False)

    def _attempt(self, container: Container, number: int) -> AttemptEnd:
        job, children = self._job, self._host.context.children
        stream_name = container.new_log_stream_name()
        job.become_starting(stream_name)
        stream = LogStream(job.logs, container.log_group, stream_name)
        child = children.start(
            container.command,
            environment={**container.environment, ATTEMPT_VARIABLE: str(number)},
            folder=container.folder,
        )
        pump = LogPump(child.output, stream)
        job.become_running()
        status_reason = self._wait(child)
        children.ended(child)
        pump.join(_LOG_JOIN_SECONDS)
        end = AttemptEnd(_exit_code(child.return_code), reason="", status_reason=status_reason)
        job.end_attempt(end.exit_code, status_reason)
        return end

    def _wait(self, child: Child) -> str:
        """Waits for the process and stops it where it must; gives the status reason."""
        job = self._job
        end = time.monotonic() + job.attempt_seconds if job.attempt_seconds else None
        while not child.wait(_CHECK_SECONDS):
            if job.stopped_reason is not None:
                reason = job.stopped_reason
            elif job.is_host_lost:
                reason = HOST_LOST
            elif end is not None and time.monotonic() > end:
                reason = TIMED_OUT
            else:
                continue
            child.stop(self._host.stop_grace_seconds)
            return reason
        return ENDED


def _exit_code(return_code: int | None) -> int | None:
    """A container that a signal ended reports 128 + the signal's number: 137 for SIGKILL, 143 for SIGTERM."""
    return return_code if return_code is None or return_code >= 0 else 128 - return_code
