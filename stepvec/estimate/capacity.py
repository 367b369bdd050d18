"""What a deployment may use at a time, and how fast that works as measured (throughput.json)."""

from __future__ import annotations

from dataclasses import dataclass, field

from stepvec.limits import NEW_TABLE_READ_UNITS_PER_SECOND, NEW_TABLE_WRITE_UNITS_PER_SECOND
from stepvec.rows.processors import Processor


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many jobs run at a time, and on what.

    device: "cpu" or "gpu". processor: "x86_64" or "arm64". jobs: concurrent jobs of `vcpus_per_job` each, on Spot or
    on-demand instances of `families` with a root volume of `root_volume_gib`. shard_size: images per job unless an
    input says otherwise. vcpu_hour_usd: the deployment's own price of a vCPU-hour; 0 if it has none.
    table_write_units, table_read_units: what the table takes a second when it is new; stored only where it was warmed.
    vector_index: whether vectors are put into an index of S3 Vectors, too. http_start: whether runs may be started, and
    asked for, by the HTTP API.
    """

    device: str
    jobs: int
    vcpus_per_job: int
    families: tuple[str, ...]
    root_volume_gib: int
    spot: bool
    shard_size: int
    vcpu_hour_usd: float
    table_write_units: int = field(default=NEW_TABLE_WRITE_UNITS_PER_SECOND, metadata={"omit_default": True})
    table_read_units: int = field(default=NEW_TABLE_READ_UNITS_PER_SECOND, metadata={"omit_default": True})
    vector_index: bool = field(default=False, metadata={"omit_default": True})
    processor: Processor = field(default="x86_64", metadata={"omit_default": True})
    http_start: bool = field(default=False, metadata={"omit_default": True})

    @property
    def vcpus(self) -> int:
        """vCPUs in use at a time."""
        return self.jobs * self.vcpus_per_job

    @property
    def is_table_warmed(self) -> bool:
        """Whether the table was made to take more than a new one does."""
        return (self.table_write_units, self.table_read_units) != (
            NEW_TABLE_WRITE_UNITS_PER_SECOND,
            NEW_TABLE_READ_UNITS_PER_SECOND,
        )


@dataclass(frozen=True, slots=True)
class WorkerThroughput:
    """Images per second of one vCPU, from S3 to DynamoDB. provisional: of another version, or of part of a worker.

    architectures: networks that are as fast. processor: of the vCPU.
    """

    device: str
    architectures: tuple[str, ...]
    engine: str
    precision: str
    images_per_vcpu_second: float
    measured: str
    provisional: bool
    source: str
    processor: Processor = "x86_64"


@dataclass(frozen=True, slots=True)
class StepThroughput:
    """Rates of the functions, and start-up seconds of a function, a job and an instance."""

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

    def of_worker(
        self, *, device: str, architecture: str, engine: str, precision: str, processor: Processor = "x86_64"
    ) -> WorkerThroughput | None:
        """The figure for this worker, of the network `architecture`; None if it was not measured."""
        wanted = (device, processor, engine, precision)
        for worker in self.workers:
            measured = (worker.device, worker.processor, worker.engine, worker.precision)
            if architecture in worker.architectures and measured == wanted:
                return worker
        return None
