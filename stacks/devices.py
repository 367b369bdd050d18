"""What a worker job gets and which instances it runs on: x86-64, ARM, GPU. Does not import CDK."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, Literal

from stepvec.rows.model import Engine
from stepvec.rows.processors import Processor

MEMORY_OF_PIXEL: Final = 16
"""Bytes of memory that a pixel takes at the most while its image is decoded, one at a time: 15 were measured
(`make corpus`: 962 MB for a WebP of 64 megapixels)."""
MEMORY_OF_BYTE: Final = 4
"""Bytes of memory for a byte of an object: downloaded, unpacked by gzip, copied for a decoder, and one more in wait."""
ROOMY: Final = "m"
"""What the names of families begin with that have 4 GiB of memory per vCPU; the c families have 2."""

DeviceName = Literal["cpu", "gpu"]


@dataclass(frozen=True, slots=True)
class Device:
    """The resources of a job, and its instances: any size of `families` that fits a job.

    other_families: what `instance_families` may name besides, for regions without those: of the same processor, room
    for a job.
    root_volume_gib: for the container image; job data never touches the disk.
    image_target: stage of worker_image/Dockerfile that is built.
    arguments: of the worker's command line, besides the shard.
    spare_mib: of `memory_mib`, what images within the default limits never take.
    largest_memory_mib: a job's share of the roomiest of `families`, less what ECS takes.
    decoders: images decoded at a time.
    """

    vcpus: int
    memory_mib: int
    gpus: int
    families: tuple[str, ...]
    other_families: tuple[str, ...]
    root_volume_gib: int
    image_target: str
    arguments: tuple[str, ...]
    spare_mib: int
    largest_memory_mib: int
    decoders: int


CPU: Final = Device(
    # One process of one thread a vCPU beats threads inside a process: docs/decisions/0002.
    vcpus=1,
    # Fits one job per vCPU on the c families (2 GiB per vCPU, minus what the ECS agent and the system take).
    memory_mib=1_800,
    gpus=0,
    # Those with AMX (Sapphire Rapids) first; Batch goes by price and capacity, not by order. Spot needs choice.
    families=("c7i", "m7i", "c6i", "m6i"),
    other_families=("c8i", "m8i", "c7a", "m7a", "c6a", "m6a", "c5", "m5", "c5a", "m5a"),
    # The ECS-optimized AMI's own size. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-optimized_AMI.html
    root_volume_gib=30,
    image_target="cpu",
    arguments=(),
    spare_mib=0,
    # The m families have 4 GiB per vCPU.
    largest_memory_mib=3_600,
    decoders=1,
)
GPU: Final = Device(
    # xlarge of each family: 4 vCPUs, 16 GiB, one GPU; larger sizes run a job on each of their GPUs.
    vcpus=4,
    memory_mib=14_000,
    gpus=1,
    # T4, A10G, L4: what MXNet's CUDA 11 wheels have machine code for (shared findings). p3 has no AL2023 image.
    families=("g4dn", "g5", "g6"),
    # L40S, of the L4's compute capability.
    other_families=("g6e",),
    # CUDA's libraries make the image some gigabytes larger.
    root_volume_gib=60,
    image_target="gpu",
    arguments=("--device", "gpu"),
    # Four images take 4 GB; another 4 GB are assumed for MXNet and CUDA, which was never measured.
    spare_mib=6_000,
    largest_memory_mib=14_000,
    decoders=4,
)
GPU_ONNXRUNTIME: Final = dataclasses.replace(
    GPU,
    # RTX PRO 6000 and H100: its CUDA wheels have machine code up to compute capability 12.0 (docs/gpu.md).
    other_families=(*GPU.other_families, "g7e", "p5"),
    image_target="gpu-onnxruntime",
)
GPU_ENGINES: Final[dict[Engine, Device]] = {"mxnet": GPU, "onnxruntime": GPU_ONNXRUNTIME}
"""By the engine that computes."""
ARM: Final = dataclasses.replace(
    CPU,
    # Graviton4 and Graviton3. Their vCPUs are whole cores, not halves.
    families=("c8g", "m8g", "c7g", "m7g"),
    # Those with disks of their own, which nothing here uses, and Graviton2, the only one that some regions have.
    other_families=("c8gd", "m8gd", "c7gd", "m7gd", "c6g", "m6g"),
    image_target="arm64",
)
DEVICES: Final[dict[tuple[DeviceName, Processor], Device]] = {
    ("cpu", "x86_64"): CPU,
    ("gpu", "x86_64"): GPU,
    ("cpu", "arm64"): ARM,
}
"""By what computes, and by the host's processor. Not g5g, ARM hosts of a T4G: no engine's CUDA wheels are for them."""
DEVICE_NAMES: Final = tuple(dict.fromkeys(name for name, _ in DEVICES))
