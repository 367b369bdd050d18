"""The worker's environment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """What the job definition sets. `model` is the name that the rows get; the worker's own files must match it.

    download_threads: GET requests at a time; they wait for the network while others decode.
    decoders: images decoded at a time. Bounds memory: one may take 4 bytes a pixel, three times over.
    """

    image_bucket: str
    table: str
    model: str
    vector_type: str = "float32"
    model_directory: str = "model"
    batch_size: int = 32
    download_threads: int = 8
    decoders: int = 1
    max_image_bytes: int = 64 * 1024 * 1024
    max_image_pixels: int = 64_000_000
    progress_seconds: float = 5.0
