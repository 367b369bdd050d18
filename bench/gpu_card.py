"""The NVIDIA card of this machine, by nvidia-smi: what it is, and how busy it is meanwhile.

`python -m bench.gpu_card` tells it, or what is missing, with exit code 1.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from stepvec.errors import DeviceError

SMI: Final = "nvidia-smi"
SAMPLE_MS: Final = 100
REMEDY: Final = (
    "Run it on Linux on x86-64 with an NVIDIA card of compute capability 7.5 or more and driver 580 or newer: on AWS "
    "a g4dn.xlarge, g5.xlarge or g6.xlarge with the ECS GPU-optimized AMI of Amazon Linux 2023."
)
MIN_DRIVER: Final = 580
"""CUDA 13's: https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/index.html"""
MIN_CAPABILITY: Final = (7, 5)
"""Turing, the oldest that CUDA 13 knows."""


@dataclass(frozen=True, slots=True)
class Card:
    """The first card. `capability` is CUDA's, (8, 9) for an L4; memory in MiB."""

    name: str
    driver: str
    memory_mib: int
    capability: tuple[int, int]

    def __str__(self) -> str:
        major, minor = self.capability
        return f"{self.name}, {self.memory_mib:,} MiB, compute capability {major}.{minor}, driver {self.driver}"


@dataclass(slots=True)
class Activity:
    """Samples of the share of time in which a kernel ran (percent), and of the card's memory in use (MiB)."""

    busy: list[float] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)

    @property
    def mean_busy(self) -> float:
        """Percent; 0 if nothing was sampled."""
        return statistics.fmean(self.busy) if self.busy else 0.0

    @property
    def peak_memory_mib(self) -> float:
        """The most that was seen in use, by all programs."""
        return max(self.memory_mib, default=0.0)


def find_card() -> Card:
    """The first card that the driver sees. Raises DeviceError where there is none that CUDA 13 knows."""
    if shutil.which(SMI) is None:
        raise DeviceError(
            "There is no NVIDIA card here: nvidia-smi, which comes with the driver, is missing.", remedy=REMEDY
        )
    query = [SMI, "--query-gpu=name,driver_version,memory.total,compute_cap", "--format=csv,noheader,nounits"]
    result = subprocess.run(query, capture_output=True, text=True, check=False)
    lines = result.stdout.splitlines()
    if result.returncode or not lines:
        told = " ".join((result.stderr or result.stdout).split()) or "it says nothing"
        raise DeviceError(f"There is no NVIDIA card that works here: nvidia-smi: {told[:200]}.", remedy=REMEDY)
    card = _parse(lines[0])
    if int(card.driver.partition(".")[0]) < MIN_DRIVER or card.capability < MIN_CAPABILITY:
        raise DeviceError(f"This card, or its driver, is too old for CUDA 13: {card}.", remedy=REMEDY)
    return card


def _parse(line: str) -> Card:
    name, driver, memory, capability = (part.strip() for part in line.rsplit(",", 3))
    try:
        major, minor = capability.split(".")
        return Card(name, driver, int(memory), (int(major), int(minor)))
    except ValueError as error:
        raise DeviceError(f"nvidia-smi's answer is not understood: {line}.", remedy=REMEDY) from error


@contextmanager
def watched() -> Iterator[Activity]:
    """What the card does until the block is left."""
    activity = Activity()
    query = [SMI, "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits", f"--loop-ms={SAMPLE_MS}"]
    with subprocess.Popen([*query, "--id=0"], stdout=subprocess.PIPE, text=True) as process:
        reader = threading.Thread(target=_read, args=(process, activity), daemon=True)
        reader.start()
        try:
            yield activity
        finally:
            process.terminate()
            reader.join()


def _read(process: subprocess.Popen[str], activity: Activity) -> None:
    for line in process.stdout or ():
        busy, _, memory = line.partition(",")
        try:
            sample = float(busy), float(memory)
        except ValueError:
            # "[N/A]": cards that are shared do not tell.
            continue
        activity.busy.append(sample[0])
        activity.memory_mib.append(sample[1])


def main() -> int:
    """Tell the card."""
    try:
        print(find_card())
    except DeviceError as error:
        print(f"error: {error.message} {error.remedy}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
