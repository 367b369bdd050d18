"""An encoder of its user's own: an ONNX file, what it takes and gives, and how its images are made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final, Literal

from stepvec import codec

Resample = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
"""Pillow's filters: all but nearest are as wide as the reduction (antialiased)."""
CropOffset = Literal["down", "even"]
"""Where a centre falls between two pixels: half of what is cut off is rounded down (transformers), or to the even
neighbour, as Python's round does (torchvision, and timm with it)."""
Channels = Literal["rgb", "bgr"]
Layout = Literal["NCHW", "NHWC"]
Element = Literal["float32", "uint8"]
Pooling = Literal["none", "first", "mean"]
"""What becomes of an output of several vectors an image: none is one vector already; the first one (a transformer's
class token), or the mean of all."""

MIN_SIDE: Final = 224
MAX_SIDE: Final = 518
"""Height and width of what an encoder may see: from what most networks were trained with, to DINOv2's largest."""
MIN_DIMENSION: Final = 2
MAX_DIMENSION: Final = 4_096
"""Numbers in a vector; S3 Vectors takes no more
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-limitations.html)."""
MIN_OPSET: Final = 7
"""ONNX Runtime reads none older (https://onnxruntime.ai/docs/reference/compatibility.html)."""
CODE_CHARACTERS: Final = 8
"""Characters of the hash of an encoder's settings in a model's name."""
_NO_MATTER: Final = frozenset({"batch", "tool", "peak_mib"})
"""Fields of an Encoder that no vector depends on. A new field that is left out at its default keeps all names."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an image becomes what the network sees. Each step is what Pillow and numpy do, in this order.

    resize: (short side,), or (height, width) whatever the image's proportions. crop: (height, width) of the middle, or
    () for all of it. Then, for float32 inputs, (pixel * scale - mean) / std, a number for each of `channels`.
    """

    resize: tuple[int, ...]
    crop: tuple[int, ...]
    resample: Resample
    crop_offset: CropOffset
    channels: Channels
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what the network sees."""
        height, width = self.crop or self.resize
        return height, width


@dataclass(frozen=True, slots=True)
class Encoder:
    """What model.json says of model.onnx. `batch`: images that it takes at a time, 0 for any number.

    `tool` inspected it, in a process that took `peak_mib` of memory; nothing of the vectors depends on these.
    """

    dimension: int
    input: str
    output: str
    layout: Layout
    element: Element
    batch: int
    pooling: Pooling
    l2: bool
    recipe: Recipe
    tool: str
    peak_mib: int

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Of one image as the network takes it: channels first or last."""
        height, width = self.recipe.size
        return (3, height, width) if self.layout == "NCHW" else (height, width, 3)

    @property
    def preprocessing(self) -> str:
        """The third part of the model's name: all that beside the weights decides what a vector is, by its hash."""
        document = codec.to_document(self)
        settings = json.dumps({name: document[name] for name in sorted(document.keys() - _NO_MATTER)})
        return f"own-{self.dimension}-{hashlib.sha256(settings.encode()).hexdigest()[:CODE_CHARACTERS]}"
