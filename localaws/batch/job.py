"""What running Batch jobs takes: a submitted job, and the machine that stands for the compute environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from localaws.batch.container_engine import ContainerEngine
from localaws.batch.dockerfile import Image
from localaws.batch.slots import Slots
from localaws.context import Context
from localaws.log_stream import LogSink
from localaws.processes import STOP_GRACE_SECONDS


class Job(Protocol):
    """A submitted job, as its runner sees and changes it.

    `container` is the job definition's ContainerProperties, `overrides` what the submission puts in their place, both
    as the API names their members. `array` is the index in an array and its size, None outside of
    one.
    """

    job_id: str
    name: str
    definition: str
    container: Mapping[str, Any] | None
    overrides: Mapping[str, Any]
    parameters: Mapping[str, str]
    queue: str
    compute_environment: str
    array: tuple[int, int] | None
    vcpus: float
    retry_strategy: Mapping[str, Any]
    attempt_seconds: float | None
    logs: LogSink

    @property
    def stopped_reason(self) -> str | None:
        """Why somebody ended the job; None while nobody did."""

    @property
    def is_host_lost(self) -> bool:
        """Whether the host under the attempt is gone, as after a Spot interruption."""

    def wait_for_dependencies(self) -> bool:
        """Waits for the jobs that it depends on; False when it has failed with one of them."""

    def become_runnable(self) -> None:
        """It waits for a place (again)."""

    def become_starting(self, log_stream: str) -> None:
        """An attempt starts, with this log stream."""

    def become_running(self) -> None:
        """The attempt's process runs."""

    def end_attempt(self, exit_code: int | None, status_reason: str) -> None:
        """The attempt's process has ended."""

    def finish(self, *, succeeded: bool, status_reason: str | None = None) -> None:
        """The job's end."""


@dataclass(slots=True)
class BatchHost:
    """The machine that runs the jobs: its vCPUs, and what stands for the container images."""

    context: Context
    slots: Slots
    worker_python: Path
    container_engine: ContainerEngine | None = None
    images: dict[str, Image] = field(default_factory=dict)
    stop_grace_seconds: float = STOP_GRACE_SECONDS
