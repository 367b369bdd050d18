"""Small ONNX files, right and wrong ones, put together field by field: exporters would not write the wrong ones.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stepvec.weights.protobuf import Value, message

FLOAT: Final = 1
UINT8: Final = 2
INT64: Final = 7
_ELEMENTS: Final = {"float32": FLOAT, "uint8": UINT8, "int64": INT64}

Axis = int | str
"""A length, or the name of any length."""


def value(name: str, shape: Sequence[Axis], element: int = FLOAT) -> bytes:
    """A ValueInfoProto."""
    axes = (message((1 if isinstance(axis, int) else 2, axis)) for axis in shape)
    tensor = message((1, element), (2, message(*((1, axis) for axis in axes))))
    return message((1, name), (2, message((1, tensor))))


def tensor(name: str, numbers: NDArray[np.generic], *, external: bool = False) -> bytes:
    """A TensorProto; `external`: its numbers are said to lie in another file."""
    lengths: list[tuple[int, Value]] = [(1, length) for length in numbers.shape]
    parts: list[tuple[int, Value]] = [*lengths, (2, _ELEMENTS[numbers.dtype.name]), (8, name)]
    if external:
        location = message((1, "location"), (2, "weights.bin"))
        return message(*parts, (13, location), (14, 1))
    return message(*parts, (9, numbers.tobytes()))


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], *attributes: bytes, domain: str = "") -> bytes:
    """A NodeProto."""
    parts = [*((1, name) for name in inputs), *((2, name) for name in outputs), (4, operator)]
    return message(*parts, *((5, attribute) for attribute in attributes), *([(7, domain)] if domain else []))


def ints(name: str, *numbers: int) -> bytes:
    """An AttributeProto of whole numbers."""
    return message((1, name), *((8, number) for number in numbers), (20, 7))


def model(
    nodes: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    tensors: Sequence[bytes] = (),
    *,
    opset: int = 17,
) -> bytes:
    """A ModelProto."""
    graph = message(
        *((1, entry) for entry in nodes),
        (2, "network"),
        *((5, entry) for entry in tensors),
        *((11, entry) for entry in inputs),
        *((12, entry) for entry in outputs),
    )
    return message((1, 8), (7, graph), (8, message((1, ""), (2, opset))))


def projection(seed: int = 1, channels: int = 3, dimension: int = 8) -> NDArray[np.float32]:
    """Weights of `encoder`'s convolution: (dimension, channels, 32, 32)."""
    random = np.random.RandomState(seed)
    return (random.standard_normal((dimension, channels, 32, 32)) / 32).astype(np.float32)


def encoder(
    shape: Sequence[Axis] = ("batch", 3, 224, 224),
    *,
    weights: NDArray[np.float32] | None = None,
    more: Sequence[bytes] = (),
    outputs: Sequence[bytes] = (value("vector", ("batch", 8)),),
    opset: int = 17,
    external: bool = False,
    domain: str = "",
) -> bytes:
    """An encoder of patches of 32 pixels, their mean, and 8 numbers: a small network with all that is asked for.

    `domain`: of its last operator. `more`: nodes besides.
    """
    numbers = projection() if weights is None else weights
    nodes = [
        node("Conv", ["image", "weights"], ["patches"], ints("strides", 32, 32)),
        node("Relu", ["patches"], ["active"]),
        node("GlobalAveragePool", ["active"], ["pooled"]),
        node("Flatten", ["pooled"], ["vector"], domain=domain),
        *more,
    ]
    return model(nodes, [value("image", shape)], outputs, [tensor("weights", numbers, external=external)], opset=opset)


def deep_encoder(shape: Sequence[Axis] = ("batch", 3, 224, 224), *, seed: int = 3) -> bytes:
    """A network with as much to compute as int8 makes faster: three convolutions, a linear layer, 32 numbers."""
    random = np.random.RandomState(seed)
    shapes = {"stem": (64, 3, 4, 4), "second": (64, 64, 3, 3), "third": (64, 64, 3, 3), "linear": (64, 32)}
    weights = {
        name: (random.standard_normal(size) * (2 / np.prod(size[1:])) ** 0.5).astype(np.float32)
        for name, size in shapes.items()
    }
    pads = ints("pads", 1, 1, 1, 1)
    nodes = [
        node("Conv", ["image", "stem"], ["a"], ints("strides", 4, 4)),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "second"], ["c"], pads),
        node("Relu", ["c"], ["d"]),
        node("Conv", ["d", "third"], ["e"], pads),
        node("Relu", ["e"], ["f"]),
        node("GlobalAveragePool", ["f"], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"]),
        node("MatMul", ["flat", "linear"], ["vector"]),
    ]
    tensors = [tensor(name, numbers) for name, numbers in weights.items()]
    return model(nodes, [value("image", shape)], [value("vector", (shape[0], 32))], tensors)


def uneven_encoder() -> bytes:
    """One convolution, of which one input is ten thousand times the others and counts nothing: in int8, 256 levels for
    all of them, the others are none."""
    weights = projection()
    weights[:, 0] = 0
    nodes = [
        node("Mul", ["image", "sizes"], ["uneven"]),
        node("Conv", ["uneven", "weights"], ["patches"], ints("strides", 32, 32)),
        node("Add", ["patches", "offsets"], ["off"]),
        node("GlobalAveragePool", ["off"], ["pooled"]),
        node("Flatten", ["pooled"], ["vector"]),
    ]
    tensors = [
        tensor("weights", weights),
        tensor("sizes", np.array([1e4, 1, 1], np.float32).reshape(1, 3, 1, 1)),
        tensor("offsets", np.linspace(0.1, 0.5, 8, dtype=np.float32).reshape(1, 8, 1, 1)),
    ]
    return model(nodes, [value("image", ("batch", 3, 224, 224))], [value("vector", ("batch", 8))], tensors)


def weightless_encoder() -> bytes:
    """Means of parts of the image, and nothing that was trained."""
    nodes = [
        node("AveragePool", ["image"], ["means"], ints("kernel_shape", 56, 56), ints("strides", 56, 56)),
        node("Flatten", ["means"], ["vector"]),
    ]
    return model(nodes, [value("image", ("batch", 3, 224, 224))], [value("vector", ("batch", 48))])


def computed(
    images: Sequence[NDArray[np.generic]],
    weights: NDArray[np.float32],
    mean: Sequence[float] = (0, 0, 0),
    std: Sequence[float] = (1, 1, 1),
) -> NDArray[np.float32]:
    """What `encoder` computes of these, (H, W, 3) of 0 to 255 each, by numpy alone."""
    normalised = (np.stack(images).astype(np.float64) / 255 - np.array(mean)) / np.array(std)
    count, side = len(images), images[0].shape[0] // 32
    patches = normalised.reshape(count, side, 32, side, 32, 3)
    maps = np.einsum("nyaxbc,dcab->nyxd", patches, weights)
    return np.asarray(np.maximum(maps, 0).mean(axis=(1, 2)), np.float32)


def text_model() -> bytes:
    """A network that takes words by their numbers, and a mask."""
    shape = ("batch", "words")
    inputs = [value(name, shape, INT64) for name in ("input_ids", "attention_mask", "token_type_ids")]
    nodes = [
        node("Add", ["input_ids", "attention_mask"], ["a"]),
        node("Add", ["a", "token_type_ids"], ["b"]),
        node("Cast", ["b"], ["hidden"], message((1, "to"), (3, FLOAT), (20, 2))),
    ]
    return model(nodes, inputs, [value("hidden", shape)])


def bomb() -> bytes:
    """Four hundred bytes that want 60 GB as soon as they are run."""
    nodes = [
        node("ConstantOfShape", ["size"], ["much"]),
        node("ReduceSum", ["much"], ["sum"]),
        node("Add", ["vector", "sum"], ["heavy"]),
    ]
    size = tensor("size", np.array([3, 5_000_000_000], np.int64))
    base = encoder(more=nodes, outputs=[value("heavy", ("batch", "numbers"))])
    # Protocol Buffers merges: the size is one more tensor of the same graph.
    return base + message((7, message((5, size))))


def lying_header() -> bytes:
    """An ONNX file whose graph says that it has 3 GB, of which four are there."""
    return message((1, 8)) + bytes([7 << 3 | 2]) + bytes([0x80, 0xBC, 0xC1, 0x96, 0x0B]) + b"\x0a\x02hi"


def not_finite() -> bytes:
    """Weights of which one is NaN."""
    numbers = projection()
    numbers[3, 1, 5, 5] = np.nan
    return encoder(weights=numbers)


def random_vectors() -> bytes:
    """Another vector each time."""
    shape = message((1, "dtype"), (3, FLOAT), (20, 2))
    nodes = [node("RandomNormalLike", ["vector"], ["noise"], shape), node("Add", ["vector", "noise"], ["noisy"])]
    return encoder(more=nodes, outputs=[value("noisy", ("batch", 8))])


def neighbourly() -> bytes:
    """Each vector has a little of those of the images beside it."""
    nodes = [
        node("ReduceMean", ["vector"], ["mean"], ints("axes", 0)),
        node("Add", ["vector", "mean"], ["mixed"]),
    ]
    return encoder(more=nodes, outputs=[value("mixed", ("batch", 8))])


def same_for_all() -> bytes:
    """The same vector for all images: its weights are zeros."""
    nodes = [node("Cos", ["vector"], ["ones"])]
    return encoder(weights=np.zeros_like(projection()), more=nodes, outputs=[value("ones", ("batch", 8))])


ANYTHING: Final[Sequence[Axis]] = ("a", "b", "c", "d")
"""Axes of which nothing is known."""

WRONG: Final[dict[str, Callable[[], bytes]]] = {
    "text.onnx": text_model,
    "dynamic.onnx": lambda: encoder(ANYTHING),
    "nan.onnx": not_finite,
    "custom.onnx": lambda: encoder(domain="com.example"),
    "lie.onnx": lying_header,
    "two-outputs.onnx": lambda: encoder(outputs=[value("vector", ("batch", 8)), value("pooled", ("batch", 8, 1, 1))]),
    "grey.onnx": lambda: encoder(("batch", 1, 224, 224), weights=projection(channels=1)),
    "external.onnx": lambda: encoder(external=True),
    "letter.onnx": lambda: b"Dear all, this is no network. " * 4,
    "half.onnx": lambda: encoder()[:30_000],
    "maps.onnx": lambda: encoder(outputs=[value("active", ("batch", 8, 7, 7))]),
    "old.onnx": lambda: encoder(opset=6),
    "random.onnx": random_vectors,
    "neighbourly.onnx": neighbourly,
    "same.onnx": same_for_all,
    "bomb.onnx": bomb,
    "small.onnx": lambda: encoder(("batch", 3, 64, 64)),
}
"""Files that are no encoders, by name, and how each is made."""
