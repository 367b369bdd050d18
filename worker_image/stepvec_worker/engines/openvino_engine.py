"""OpenVINO on CPUs: the same weights in float32, bf16 or int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stepvec import codec
from stepvec.adapters.telemetry import logger
from stepvec.errors import RecordError, WeightsError
from stepvec.rows.model import CALIBRATION_FILE, ModelCard, Precision
from stepvec.weights.model_directory import Calibration, verify_file
from stepvec_worker.engines.embedder import Embedder, FloatArray
from stepvec_worker.engines.openvino_graph import build_graph, nodes_to_first_depthwise
from stepvec_worker.engines.openvino_runtime import (
    INSTRUCTIONS,
    compile_graph,
    cpu_flags,
    describe,
    import_openvino,
    is_supported,
    layer_precisions,
    with_float32,
)
from stepvec_worker.engines.parameters import read_parameters
from stepvec_worker.images.preprocessing import PixelFormat, Pixels


class OpenVINOEmbedder(Embedder):
    """A compiled graph with its one request, whose input is filled image by image."""

    def __init__(self, compiled: Any, card: ModelCard, pixel_format: PixelFormat, batch_size: int) -> None:
        super().__init__(card, pixel_format, batch_size, describe(layer_precisions(compiled)))
        self._request = compiled.create_infer_request()
        batch = self._request.get_input_tensor()
        self._batch = batch.data
        self._batch[:] = 0

    def _place(self, position: int, image: Pixels) -> None:
        self._batch[position] = image

    def _vectors(self) -> FloatArray:
        self._request.infer()
        return np.asarray(self._request.get_output_tensor().data, np.float32)


def load_openvino(
    weights: Path, card: ModelCard, precision: Precision, pixel_format: PixelFormat, batch_size: int
) -> OpenVINOEmbedder:
    """The network of `card` with the parameters in the file `weights`, compiled in `precision`.

    Where the processor lacks the instructions for it, in float32, with a warning. Raises WeightsError for files that
    do not hold the architecture or its calibration, ConfigurationError where OpenVINO cannot be loaded.
    """
    import_openvino()
    precision = possible(precision)
    parameters = read_parameters(weights, card)
    layers = None
    if precision == "int8":
        layers = read_calibration(weights.with_name(CALIBRATION_FILE), card).layers
    graph = build_graph(card.network, parameters, pixel_format, batch_size, quantised=layers)
    if precision == "bf16" and card.network == "efficientnet_lite0":
        # The channels that its first depthwise convolution sees differ so much in size that this layer alone costs
        # half of what bf16 costs: mean cosine 0.9989 with it, 0.9995 without (800 photos), at 7 % of the speed.
        graph = with_float32(graph, nodes_to_first_depthwise(graph))
    return OpenVINOEmbedder(compile_graph(graph, precision), card, pixel_format, batch_size)


def read_calibration(file: Path, card: ModelCard) -> Calibration:
    """The calibration in `file`. Raises WeightsError for one that is not `card`'s, or of other weights."""
    remedy = "Calibrate the model again: `stepvec calibrate PHOTOS`."
    if card.int8 is None:
        raise WeightsError("The model has not been calibrated for int8.", remedy=remedy)
    verify_file(file, card.int8.sha256)
    try:
        calibration = codec.from_json(Calibration, file.read_bytes(), where=str(file))
    except RecordError as error:
        raise WeightsError(error.message, remedy=remedy) from error
    if calibration.weights_sha256 != card.weights_sha256:
        raise WeightsError(f"{file} was made for the weights {calibration.weights_sha256}.", remedy=remedy)
    return calibration


def possible(precision: Precision) -> Precision:
    """`precision`, or float32, with a warning, where this processor lacks the instructions for it."""
    if is_supported(precision, cpu_flags()):
        return precision
    logger.warning(
        "this processor has no instructions for the model's precision: computing in float32",
        precision=precision,
        lacking=" or ".join(INSTRUCTIONS[precision]),
    )
    return "float32"
