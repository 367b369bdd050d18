"""An ONNX file of a user's own as OpenVINO's graph, some of its layers in int8.

What computes in int8 are products with weights of the file: convolutions, and a transformer's linear layers. All
else, its attention among it, stays float32.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from stepvec.errors import WeightsError
from stepvec.rows.encoder import Encoder
from stepvec.weights.model_directory import ActivationRange
from stepvec_worker.engines.embedder import FloatArray
from stepvec_worker.engines.openvino_runtime import compile_graph, import_openvino, import_operators
from stepvec_worker.engines.quantisation import Node, quantised_activations, quantised_weights

_CHANNEL_AXES: Final = {"Convolution": 1, "GroupConvolution": 2}
"""How many of a convolution's first axes say which output channel: the rest is that channel's weights."""
_REMEDY: Final = "Use it in float32: leave out engine and precision."


def read_graph(data: bytes, encoder: Encoder, batch: int) -> Any:
    """An openvino.Model of the ONNX file `data`: `batch` images in, `encoder`'s output out, of one shape.

    Raises WeightsError for what OpenVINO does not read, whatever ONNX Runtime made of it.
    """
    openvino, operators = import_openvino(), import_operators()
    passes = importlib.import_module("openvino.passes")
    folding = passes.Manager()
    folding.register_pass(passes.ConstantFolding())
    try:
        read = openvino.Core().read_model(data)
        output = read.output(encoder.output).get_node().input_value(0)
        graph = openvino.Model([operators.result(output)], read.get_parameters(), "own")
        graph.reshape([batch, *encoder.image_shape])
        # Weights that are turned, or were float16, become constants again.
        folding.run_passes(graph)
    except RuntimeError as error:
        problem = str(error).strip().splitlines()[-1][:200]
        raise WeightsError(f"OpenVINO does not read the encoder: {problem}", remedy=_REMEDY) from error
    return graph


def quantisable(graph: Any) -> dict[str, Node]:
    """The nodes of `graph` that may compute in int8, by their names, which are the ONNX file's."""
    found: dict[str, Node] = {}
    for node in graph.get_ordered_ops():
        if _weights_within(node) is not None:
            found.setdefault(node.get_friendly_name(), node)
    return found


def weights_of(node: Node) -> FloatArray:
    """The weights of a node that `quantisable` found."""
    return np.asarray(node.input_value(1).get_node().data)


def quantised(graph: Any, layers: Mapping[str, ActivationRange]) -> Any:
    """A copy of `graph` whose nodes named in `layers` compute in int8, what goes into each being of the given range.

    Raises WeightsError where it has none of such a name: the calibration is of another file, or another OpenVINO.
    """
    copy = graph.clone()
    nodes = quantisable(copy)
    if lacking := sorted(layers.keys() - nodes.keys()):
        raise WeightsError(
            f"The encoder has no layer {lacking[0]}, which its calibration names.",
            remedy="Calibrate the model again: `stepvec calibrate PHOTOS`.",
        )
    for name, range_ in layers.items():
        node = nodes[name]
        activations, numbers = node.input_value(0), node.input_value(1)
        weights = quantised_weights(numbers, weights_of(node), _weights_within(node) or ())
        node.input(0).replace_source_output(quantised_activations(activations, range_).output(0))
        node.input(1).replace_source_output(weights.output(0))
    copy.validate_nodes_and_infer_types()
    return copy


def tapped(graph: Any) -> Any:
    """A copy of `graph` with an output more for each layer that `quantisable` finds, in its order: what goes in."""
    operators = import_operators()
    copy = graph.clone()
    taps = [operators.result(node.input_value(0)) for node in quantisable(copy).values()]
    return import_openvino().Model([*copy.get_results(), *taps], copy.get_parameters(), "tapped")


class Computation:
    """A graph, compiled: called with a batch, it gives its first output."""

    def __init__(self, graph: Any) -> None:
        self.compiled = compile_graph(graph, "float32")
        self._request = self.compiled.create_infer_request()

    def __call__(self, batch: Any) -> FloatArray:
        """The output for this batch, a copy."""
        self._request.infer({0: batch}, share_inputs=True)
        # The next batch is computed into the same memory.
        return np.array(self._request.get_output_tensor(0).data, np.float32)

    def further(self) -> list[FloatArray]:
        """The other outputs of the last batch, which the next one overwrites."""
        return [self._request.get_output_tensor(number).data for number in range(1, len(self.compiled.outputs))]


def _weights_within(node: Node) -> tuple[int, ...] | None:
    """The axes along which one output channel's weights lie; None for a node that stays float32."""
    kind = node.get_type_name()
    if kind not in (*_CHANNEL_AXES, "MatMul"):
        return None
    activations, numbers = node.input_value(0), node.input_value(1)
    if numbers.get_node().get_type_name() != "Constant" or numbers.get_element_type().get_type_name() != "f32":
        return None
    if activations.get_node().get_type_name() == "FakeQuantize":
        # Quantised by its authors.
        return None
    axes = len(numbers.get_shape())
    if kind != "MatMul":
        return tuple(range(_CHANNEL_AXES[kind], axes))
    if axes != 2 or node.get_attributes()["transpose_a"]:
        return None
    return (1,) if node.get_attributes()["transpose_b"] else (0,)
