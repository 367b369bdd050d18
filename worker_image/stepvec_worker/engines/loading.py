"""From a model directory, as `stepvec weights` makes it, to an Embedder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from stepvec.errors import ConfigurationError
from stepvec.rows.encoder import Encoder
from stepvec.rows.model import Engine, ModelCard, Precision, check_engine
from stepvec.weights.model_directory import read_model_card, verify_file
from stepvec_worker.engines.embedder import Embedder
from stepvec_worker.engines.mxnet_engine import load_mxnet
from stepvec_worker.engines.onnxruntime_engine import load_onnxruntime
from stepvec_worker.engines.openvino_engine import load_openvino
from stepvec_worker.engines.own_encoder import load_own
from stepvec_worker.images.preprocessing import PixelFormat

DEFAULT_BATCH_SIZE: Final = 32


def load_embedder(
    model_directory: Path,
    device: str,
    pixel_format: PixelFormat,
    batch_size: int = DEFAULT_BATCH_SIZE,
    *,
    engine: Engine = "mxnet",
    precision: Precision = "float32",
) -> Embedder:
    """The network of `model_directory`, its weights checked against their card, on `device`.

    Takes a second or two: the engine is imported. The first call of the network builds its graph, and takes longer.
    Raises WeightsError for a directory without a model, a file that is not the card's or not the architecture's,
    ConfigurationError where the engine cannot be loaded or cannot do what is asked, DeviceError where there is no GPU.
    """
    card = read_model_card(model_directory)
    weights = model_directory / card.weights_file
    if card.encoder is not None:
        return _load_own(weights, card, card.encoder, device, batch_size, engine, precision)
    check_engine(engine, precision)
    verify_file(weights, card.weights_sha256)
    if engine == "openvino":
        if device != "cpu":
            raise ConfigurationError(
                f"Engine openvino does not run on {device}.", remedy="Use engine mxnet or onnxruntime there."
            )
        return load_openvino(weights, card, precision, pixel_format, batch_size)
    if engine == "onnxruntime":
        return load_onnxruntime(weights, card, device, precision, pixel_format, batch_size)
    return load_mxnet(weights, card, device, pixel_format, batch_size)


def _load_own(
    weights: Path,
    card: ModelCard,
    encoder: Encoder,
    device: str,
    batch_size: int,
    engine: Engine,
    precision: Precision,
) -> Embedder:
    # What it cannot be computed with is refused as its name is made.
    identity = card.identity(encoder.preprocessing, engine, precision)
    verify_file(weights, card.weights_sha256)
    if device != "cpu":
        raise ConfigurationError(f"An encoder of one's own does not run on {device}.", remedy="Use device cpu for it.")
    return load_own(weights, card, encoder, batch_size, identity.precision)
