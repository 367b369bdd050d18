"""How fast the parts of the pipeline work, as measured: one file, each figure with its date and how it was found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerThroughput:
    """Images a second of one vCPU, from S3 to DynamoDB. provisional: not of this version, or not of a whole worker."""

    device: str
    architectures: tuple[str, ...]
    engine: str
    precision: str
    images_per_vcpu_second: float
    measured: str
    provisional: bool
    source: str


@dataclass(frozen=True, slots=True)
class StepThroughput:
    """Rates of the functions, and seconds that pass before a function, a job or an instance does anything."""

    list_keys_per_second: float
    shard_keys_per_second: float
    verify_rows_per_second: float
    function_start_seconds: float
    job_start_seconds: float
    instance_start_seconds: float
    provisional: bool
    source: str


@dataclass(frozen=True, slots=True)
class Throughput:
    """What throughput.json holds."""

    workers: tuple[WorkerThroughput, ...]
    steps: StepThroughput

    def of_worker(self, *, device: str, architecture: str, engine: str, precision: str) -> WorkerThroughput | None:
        """The figure for this worker; None where none was measured."""
        for worker in self.workers:
            if architecture in worker.architectures and (worker.device, worker.engine, worker.precision) == (
                device,
                engine,
                precision,
            ):
                return worker
        return None
