"""int8 as OpenVINO is told of it: a FakeQuantize before each input of a layer, which it then computes in int8."""

from __future__ import annotations

from typing import Any

import numpy as np

from stepvec.weights.model_directory import ActivationRange
from stepvec.weights.specs import FloatArray
from stepvec_worker.engines.openvino_runtime import constant, import_operators

Node = Any
"""A node of OpenVINO, or one of its outputs: its own types are not in the worker's type check."""


def quantised_activations(activations: Node, range_: ActivationRange) -> Node:
    """256 levels over the range: u8 where it begins at 0, else i8 around 0."""
    low, high = np.float32(range_.low), np.float32(range_.high)
    return import_operators().fake_quantize(activations, low, high, low, high, 256)


def quantised_weights(numbers: Node, weight: FloatArray, within: tuple[int, ...]) -> Node:
    """255 levels of i8 around 0 for the constant `numbers`, whose values `weight` are: each output channel, which lies
    along the axes `within`, to its own largest."""
    largest = _largest(weight, within)
    return import_operators().fake_quantize(numbers, -largest, largest, -largest, largest, 255)


def levels_of_weights(weight: FloatArray, within: tuple[int, ...]) -> Node:
    """A convolution's weights in i8: what OpenVINO works out of `quantised_weights` when it compiles, but slowly.

    It is 0.17 s of ResNet18's start (docs/decisions/0143). A test compares the vectors of both, bit for bit.
    """
    largest = _largest(weight, within)
    # FakeQuantize's own steps, in its order: https://docs.openvino.ai, operation FakeQuantize-1.
    levels = weight + largest
    levels /= largest + largest
    levels *= np.float32(254)
    np.rint(levels, out=levels)
    levels -= np.float32(127)
    operators = import_operators()
    numbers = operators.convert(constant(levels.astype(np.int8)), "f32")
    return operators.multiply(numbers, constant(largest / np.float32(127)))


def _largest(weight: FloatArray, within: tuple[int, ...]) -> FloatArray:
    largest = np.abs(weight).max(axis=within, keepdims=True)
    # A channel of zeros stays one; any range will do.
    return np.where(largest == 0, np.float32(1), largest)
