"""What a deployment may use at a time, and how fast that works as measured (throughput.json)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capacity:
    """Jobs at a time and what they run on.

    device: "cpu" or "gpu". jobs: those that run at a time, `vcpus_per_job` each, with Spot or on demand, on instances
    of `families` with a root volume of `root_volume_gib`. shard_size: images of a job where an input does not say.
    vcpu_hour_usd: the deployment's own price of a vCPU-hour; 0 where it has none.
    """

    device: str
    jobs: int
    vcpus_per_job: int
    families: tuple[str, ...]
    root_volume_gib: int
    spot: bool
    shard_size: int
    vcpu_hour_usd: float

    @property
    def vcpus(self) -> int:
        """vCPUs that work at a time."""
        return self.jobs * self.vcpus_per_job


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
