"""What a deployment may use at a time: its stack's output says it, and VerifyRun's environment."""

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
