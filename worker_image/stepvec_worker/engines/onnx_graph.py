"""The networks as ONNX files, built from the parameters of weights.params: BatchNorm folded, pixels in.

What the layers are is in folded_networks.py. An ONNX file is a message of Protocol Buffers; the numbers of its fields
are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from stepvec.rows.model import Architecture
from stepvec.weights.protobuf import message
from stepvec.weights.specs import FloatArray, Parameters
from stepvec_worker.engines.embedder import normalisation
from stepvec_worker.engines.folded_networks import Layers, Size, features, same_padding
from stepvec_worker.images.preprocessing import PixelFormat

OPSET: Final = 17
"""Version of the operators: what every runtime of today reads (ONNX Runtime from 1.12, TensorRT from 8.5, CoreML)."""
IR_VERSION: Final = 8
"""Version of the file's own form, of the same release: ONNX 1.12."""

INPUT: Final = "pixels"
OUTPUT: Final = "vectors"

_TYPES: Final = {"float32": 1, "uint8": 2, "int64": 7, "float16": 10}
"""TensorProto.DataType."""
_FLOAT, _INT, _INTS = 1, 2, 7
"""AttributeProto.AttributeType."""

Attribute = int | float | Sequence[int]


@dataclass(frozen=True, slots=True)
class Tensor:
    """The result of a node: its name in the file, and the height and width of its images."""

    name: str
    size: Size


def build_onnx(
    architecture: Architecture,
    parameters: Parameters,
    pixel_format: PixelFormat,
    batch_size: int | None,
    *,
    is_half: bool = False,
) -> bytes:
    """An ONNX file: `pixels`, (batch_size, H, W, 3), to `vectors`, (batch_size, dimension) float32.

    `parameters` are all of the architecture's. Without a batch size any number of images may be given at a time.
    is_half: computes in float16, but for normalisation and the mean over the picture.
    """
    layers = _Layers(architecture, parameters)
    numbers = normalisation(architecture)
    pixels = Tensor(INPUT, (pixel_format.height, pixel_format.width))
    # Transposed as they are: bytes, a quarter of what floats would be.
    channels_first = layers.node("Transpose", [pixels], pixels.size, perm=(0, 3, 1, 2))
    if pixel_format.element != "float32":
        channels_first = layers.node("Cast", [channels_first], pixels.size, to=_TYPES["float32"])
    images = layers.affine(channels_first, numbers.scale, numbers.offset)
    if is_half:
        images = layers.cast(images, "float16")
    out = features(architecture, layers, images)
    if is_half:
        out = layers.cast(out, "float32")
    out = layers.node("GlobalAveragePool", [out], (1, 1))
    layers.node("Flatten", [out], (1, 1), name=OUTPUT, axis=1)
    batch = "batch" if batch_size is None else batch_size
    graph = message(
        *layers.fields,
        (2, architecture),
        (11, _declared(INPUT, pixel_format.element, (batch, *pixel_format.shape))),
        (12, _declared(OUTPUT, "float32", (batch, layers.channels))),
    )
    return message((1, IR_VERSION), (2, "stepvec"), (7, graph), (8, message((1, ""), (2, OPSET))))


class _Layers(Layers[Tensor]):
    """Layers as nodes of a GraphProto, whose fields they add to. `channels` are those of the last convolution."""

    def __init__(self, architecture: Architecture, parameters: Parameters) -> None:
        super().__init__(architecture, parameters)
        self.fields: list[tuple[int, bytes]] = []
        self.channels = 3
        self._element: Literal["float32", "float16"] = "float32"

    def cast(self, images: Tensor, element: Literal["float32", "float16"]) -> Tensor:
        """`images` in the type that all layers from here on compute in."""
        self._element = element
        return self.node("Cast", [images], images.size, to=_TYPES[element])

    def node(
        self, operator: str, inputs: Sequence[Tensor], size: Size, *, name: str = "", **attributes: Attribute
    ) -> Tensor:
        """A NodeProto whose result has images of `size`."""
        name = name or f"{operator}_{len(self.fields)}"
        self.fields.append(
            (
                1,
                message(
                    *((1, tensor.name) for tensor in inputs),
                    (2, name),
                    (3, name),
                    (4, operator),
                    *((5, _attribute(key, value)) for key, value in attributes.items()),
                ),
            )
        )
        return Tensor(name, size)

    def affine(self, images: Tensor, scale: FloatArray, offset: FloatArray) -> Tensor:
        scaled = self.node("Mul", [images, self._constant(scale.reshape(1, -1, 1, 1))], images.size)
        return self.node("Add", [scaled, self._constant(offset.reshape(1, -1, 1, 1))], images.size)

    def convolved(
        self,
        images: Tensor,
        name: str,
        weight: FloatArray,
        offset: FloatArray | None,
        *,
        stride: int,
        groups: int,
        same: bool,
    ) -> Tensor:
        kernel = weight.shape[2]
        padding = [same_padding(side, kernel, stride) if same else (kernel // 2, kernel // 2) for side in images.size]
        (top, bottom), (left, right) = padding
        inputs = [images, self._constant(weight, name)]
        if offset is not None:
            inputs.append(self._constant(offset))
        self.channels = len(weight)
        return self.node(
            "Conv",
            inputs,
            _strided(images.size, padding, kernel, stride),
            pads=(top, left, bottom, right),
            kernel_shape=(kernel, kernel),
            strides=(stride, stride),
            group=groups,
        )

    def relu(self, images: Tensor) -> Tensor:
        return self.node("Relu", [images], images.size)

    def relu6(self, images: Tensor) -> Tensor:
        limits = [self._constant(np.array(limit, np.float32)) for limit in (0, 6)]
        return self.node("Clip", [images, *limits], images.size)

    def add(self, first: Tensor, second: Tensor) -> Tensor:
        return self.node("Add", [first, second], first.size)

    def halved(self, images: Tensor) -> Tensor:
        size = _strided(images.size, [(1, 1), (1, 1)], 3, 2)
        return self.node("MaxPool", [images], size, kernel_shape=(3, 3), strides=(2, 2), pads=(1, 1, 1, 1))

    def _constant(self, numbers: NDArray[np.float32], name: str = "") -> Tensor:
        """An initializer. Of a scalar the dimensions are none."""
        name = name or f"constant_{len(self.fields)}"
        raw = np.ascontiguousarray(numbers, "<f4" if self._element == "float32" else "<f2").tobytes()
        dimensions = ((1, length) for length in numbers.shape)
        self.fields.append((5, message(*dimensions, (2, _TYPES[self._element]), (8, name), (9, raw))))
        return Tensor(name, (1, 1))


def _strided(size: Size, padding: Sequence[tuple[int, int]], kernel: int, stride: int) -> Size:
    height, width = (
        (side + before + after - kernel) // stride + 1 for side, (before, after) in zip(size, padding, strict=True)
    )
    return height, width


def _attribute(name: str, value: Attribute) -> bytes:
    """An AttributeProto."""
    if isinstance(value, int):
        return message((1, name), (3, value), (20, _INT))
    if isinstance(value, float):
        return message((1, name), (2, value), (20, _FLOAT))
    return message((1, name), *((8, number) for number in value), (20, _INTS))


def _declared(name: str, element: str, shape: Sequence[int | str]) -> bytes:
    """A ValueInfoProto of a tensor; an axis of any length has a name instead of its length."""
    axes = (message((1 if isinstance(length, int) else 2, length)) for length in shape)
    tensor = message((1, _TYPES[element]), (2, message(*((1, axis) for axis in axes))))
    return message((1, name), (2, message((1, tensor))))
