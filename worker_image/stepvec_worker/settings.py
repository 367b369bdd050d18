"""The worker's environment."""

from __future__ import annotations

from dataclasses import dataclass

from stepvec.runs.images import MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS
from stepvec.runs.reports import PROGRESS_SECONDS


@dataclass(frozen=True, slots=True)
class Settings:
    """What the job definition sets. `model` is the name that the rows get; the worker's own files must match it.

    batch_size: images that the network takes at a time. MXNet is as fast with 8 as with 32 on a vCPU (36 ms of CPU an
    image of ResNet18), and takes 330 MB instead of 520; it always computes a whole batch, even the last one.
    vcpus: 0 asks the system (processes/host.py). On the CPU so many processes embed; beside a GPU, one process
    decodes so many images at a time. A decoded image may take 4 bytes a pixel, three times over.
    download_threads: GET requests at a time of one process; they wait for the network while others decode.
    write_threads: PUT requests at a time of one process.
    decode_seconds: an image whose decoding takes longer is taken for one that never ends.
    stop_seconds: what the embedding processes have left after SIGTERM; 3 s later the worker ends (processes/host.py).
    vector_index: ARN of the index of S3 Vectors that gets the vectors, too; "" where there is none.
    """

    image_bucket: str
    table: str
    model: str
    vector_type: str = "float32"
    model_directory: str = "model"
    batch_size: int = 16
    download_threads: int = 8
    write_threads: int = 4
    vcpus: int = 0
    max_image_bytes: int = MAX_IMAGE_BYTES
    max_image_pixels: int = MAX_IMAGE_PIXELS
    progress_seconds: float = PROGRESS_SECONDS
    decode_seconds: float = 60.0
    stop_seconds: float = 9.0
    vector_index: str = ""
