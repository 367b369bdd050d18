"""An ONNX file looked at, tried on a sample, and described: what a model's card says of an encoder."""

from __future__ import annotations

import difflib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from stepvec.errors import WeightsError
from stepvec.rows.encoder import MAX_DIMENSION, MIN_DIMENSION, Element, Encoder, Layout, Recipe
from stepvec.rows.model import ModelCard
from stepvec.weights.own_encoder import EncoderRequest, Inspection
from stepvec.weights.protobuf import message
from stepvec_worker.encoders.onnx_facts import OnnxFacts, check_facts, read_facts
from stepvec_worker.encoders.preprocess_file import PreprocessFile
from stepvec_worker.engines.embedder import FloatArray
from stepvec_worker.engines.onnxruntime_engine import import_onnxruntime
from stepvec_worker.engines.own_encoder import OwnEncoder, by_session, open_own
from stepvec_worker.processes.host import peak_memory_mb

SAMPLE: Final = 16
"""Images, as many as the worker embeds at a time."""
TOLERANCE: Final = 1e-5
"""By how much of its length a vector may differ with the images beside it, and by how much two must."""
SUSPICIOUS: Final = "It may be damaged, or made to harm: get it again from where it comes from."
"""The remedy where a file takes more than one of its size does."""

_ELEMENTS: Final[dict[str, Element]] = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}
_NO_CARD: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class _Input:
    name: str
    element: Element
    layout: Layout
    batch: int


def inspect(data: bytes, request: EncoderRequest, preprocess: PreprocessFile) -> Inspection:
    """What the ONNX file `data` is, tried on a sample. Raises WeightsError, with a remedy, for what is no encoder."""
    where = request.where
    facts = read_facts(memoryview(data), where)
    check_facts(facts, where)
    session = open_own(data, where)
    addition = _output_to_add(session, request.output, facts, where)
    if addition:
        session = open_own(data + addition, where)
    taken = _input(session, preprocess, where)
    output = request.output or _only_output(session, where)
    encoder = Encoder(
        dimension=0,
        input=taken.name,
        output=output,
        layout=taken.layout,
        element=taken.element,
        batch=taken.batch,
        pooling=request.pooling,
        l2=request.l2,
        recipe=preprocess.recipe,
        tool=f"onnxruntime {import_onnxruntime().__version__}",
        peak_mib=0,
    )
    _check_recipe(encoder, where)
    encoder = replace(encoder, dimension=_dimension(session, encoder, where))
    speed = _try(session, encoder, request, where)
    encoder = replace(encoder, peak_mib=peak_memory_mb())
    return Inspection(encoder, addition.hex(), facts.opset, speed)


def _output_to_add(session: Any, wanted: str, facts: OnnxFacts, where: str) -> bytes:
    """Bytes that make the tensor `wanted` an output where it is none: a network's classifier is left out like this.

    Protocol Buffers merges a message that comes twice: a graph of nothing but an output, after the whole.
    """
    outputs = [entry.name for entry in session.get_outputs()]
    if not wanted or wanted in outputs:
        return b""
    if wanted not in facts.tensors:
        close = difflib.get_close_matches(wanted, sorted({*outputs, *facts.tensors}), n=3)
        raise WeightsError(
            f"{where} has no output {wanted!r}, and nothing inside it is called so.",
            remedy=f"It has {_few(outputs)}." + (f" Close to yours: {_few(close)}." if close else ""),
        )
    return message((7, message((12, message((1, wanted))))))


def _input(session: Any, preprocess: PreprocessFile, where: str) -> _Input:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise WeightsError(
            f"{where} takes {len(inputs)} inputs, {_few([entry.name for entry in inputs])}: an image encoder has one.",
            remedy="Export the part that sees images by itself (of CLIP, the vision model).",
        )
    (entry,) = inputs
    if len(entry.shape) != 4:
        raise WeightsError(
            f"{where} takes {_shape(entry)}, which is no batch of images.",
            remedy="Give a network that takes (N, 3, H, W) or (N, H, W, 3): a text model is none.",
        )
    if entry.type not in _ELEMENTS:
        raise WeightsError(
            f"{where} takes {entry.type}; images come as float32 or uint8.",
            remedy="Export it in float32.",
        )
    sizes = [size if isinstance(size, int) else 0 for size in entry.shape]
    layout = _layout(sizes, preprocess, where, _shape(entry))
    height, width = (sizes[2], sizes[3]) if layout == "NCHW" else (sizes[1], sizes[2])
    if any(size not in (0, wanted) for size, wanted in zip((height, width), preprocess.recipe.size, strict=True)):
        raise WeightsError(
            f"{where} takes images of {height} x {width}, and its preprocessing makes them "
            f"{' x '.join(map(str, preprocess.recipe.size))}.",
            remedy="Give the preprocessing that belongs to the file.",
        )
    return _Input(entry.name, _ELEMENTS[entry.type], layout, sizes[0])


def _layout(sizes: Sequence[int], preprocess: PreprocessFile, where: str, shape: str) -> Layout:
    """Where the three channels are, of an input whose axes have these lengths, 0 being any."""
    _, second, _, last = sizes
    if 3 in (second, last):
        return "NCHW" if second == 3 else "NHWC"
    if second and last:
        channels = min(second, last)
        raise WeightsError(
            f"{where} takes {shape}: images of {channels} channel{'' if channels == 1 else 's'}.",
            remedy="Images come as red, green and blue: give a network that takes three channels.",
        )
    if preprocess.layout is None:
        raise WeightsError(
            f"{where} takes {shape}, which does not say where the channels are.",
            remedy='Say it in the preprocessing: "layout": "NCHW", or "NHWC".',
        )
    return preprocess.layout


def _only_output(session: Any, where: str) -> str:
    names = [entry.name for entry in session.get_outputs()]
    if len(names) != 1:
        raise WeightsError(f"{where} has {len(names)} outputs: {_few(names)}.", remedy="Say which: --output NAME.")
    name: str = names[0]
    return name


def _check_recipe(encoder: Encoder, where: str) -> None:
    recipe = encoder.recipe
    plain = replace(recipe, scale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    if encoder.element == "uint8" and recipe != plain:
        raise WeightsError(
            f"{where} takes uint8, 0 to 255, and its preprocessing scales or normalises.",
            remedy='Say "scale": 1 and neither mean nor std: the network does it itself.',
        )


def _dimension(session: Any, encoder: Encoder, where: str) -> int:
    """Numbers in a vector, found by computing one."""
    zeros = np.zeros((encoder.batch or 1, *encoder.image_shape), encoder.element)
    try:
        (output,) = session.run([encoder.output], {encoder.input: zeros})
    except Exception as error:  # each of its errors is an Exception of its own, of one base class
        if "alloc" in str(error):
            raise WeightsError(
                f"{where} takes more memory to compute one image than a file of its size may.",
                remedy=SUSPICIOUS,
            ) from error
        height, width = encoder.recipe.size
        raise WeightsError(
            f"{where} cannot compute an image of {height} x {width}: {str(error).splitlines()[0][:200]}",
            remedy="Give the preprocessing that belongs to the file, and the input size that it was exported for.",
        ) from error
    _check_output(output, encoder, len(zeros), where)
    dimension = output.shape[2] if output.ndim == 3 else output.shape[1]
    if not MIN_DIMENSION <= dimension <= MAX_DIMENSION:
        raise WeightsError(
            f"The output {encoder.output} of {where} has {dimension:,} numbers an image; "
            f"{MIN_DIMENSION} to {MAX_DIMENSION:,} are a vector.",
            remedy="Say another one: --output NAME, which may be any tensor inside the network.",
        )
    return int(dimension)


def _check_output(output: Any, encoder: Encoder, count: int, where: str) -> None:
    """Raises WeightsError for an output that is no vector of each image, or becomes none by the pooling."""
    shape = " x ".join(map(str, getattr(output, "shape", ())))
    told = f"The output {encoder.output} of {where} is {shape or 'no tensor'}"
    if not isinstance(output, np.ndarray) or output.dtype.kind != "f" or output.ndim not in (2, 3, 4):
        raise WeightsError(f"{told}, which is no vector of floats.", remedy="Say another one: --output NAME.")
    if len(output) != count:
        raise WeightsError(f"{told} for {count} images.", remedy="Say another one: --output NAME.")
    is_single = output.ndim == 2 or (output.ndim == 4 and output.shape[2:] == (1, 1))
    if is_single != (encoder.pooling == "none"):
        if is_single:
            raise WeightsError(f"{told}: one vector an image, with nothing to pool.", remedy="Leave out --pooling.")
        raise WeightsError(
            f"{told}: several vectors an image.",
            remedy="Say which makes the image's: --pooling first (a transformer's class token), or mean.",
        )
    if output.ndim == 4 and encoder.pooling == "first":
        raise WeightsError(f"{told}: maps, without a first vector.", remedy="Use --pooling mean.")


def _try(session: Any, encoder: Encoder, request: EncoderRequest, where: str) -> float:
    """Images a second. Raises WeightsError where the vectors of a sample are not what vectors must be."""
    card = ModelCard(request.name, _NO_CARD, "", "", encoder=encoder)
    compute = by_session(session, encoder)
    together, alone = OwnEncoder(compute, card, encoder, SAMPLE), OwnEncoder(compute, card, encoder, 1)
    pictures = sample(encoder.recipe)
    vectors = together.embed(pictures)
    if not np.isfinite(vectors).all():
        raise WeightsError(
            f"{where} gives numbers that are not finite (NaN or infinite).",
            remedy="Its weights are damaged, or its preprocessing is another's: compare with where it comes from.",
        )
    begin = time.process_time()
    again = together.embed(pictures)
    speed = SAMPLE / max(time.process_time() - begin, 1e-6)
    if not np.array_equal(vectors, again):
        raise WeightsError(
            f"{where} gives other vectors for the same images each time.",
            remedy="Export it for inference (model.eval()): dropout and random numbers have no place in it.",
        )
    singly = np.concatenate([alone.embed([picture]) for picture in pictures])
    if (worst := _differences(vectors, singly).max()) > TOLERANCE:
        raise WeightsError(
            f"{where} gives an image another vector when other images are beside it (by {worst:.1e} of its length).",
            remedy="Export it for inference (model.eval()), and without dynamic quantisation.",
        )
    others = _differences(vectors[:, None], vectors[None]) + np.eye(SAMPLE)
    if others.min() <= TOLERANCE:
        raise WeightsError(
            f"{where} gives different images the same vector.",
            remedy="Say another output, or check the preprocessing: its weights may be missing.",
        )
    return speed


def _differences(first: FloatArray, second: FloatArray) -> FloatArray:
    """Of vectors along the last axis, as shares of the first's lengths."""
    lengths = np.maximum(np.linalg.norm(first, axis=-1), np.float32(1e-30))
    return np.asarray(np.linalg.norm(first - second, axis=-1) / lengths)


def sample(recipe: Recipe) -> list[Any]:
    """Pictures, (H, W, 3) uint8 each, as different as photos are: blocks of colours, gradients, grain."""
    random = np.random.RandomState(8)
    height, width = recipe.size
    down, across = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    pictures = []
    for blocks in np.geomspace(2, 32, SAMPLE).astype(int):
        rows, columns = np.arange(height) * blocks // height, np.arange(width) * blocks // width
        colours = random.uniform(0, 255, (blocks, blocks, 3))[rows][:, columns]
        slope = random.uniform(-100, 100, 3) * down + random.uniform(-100, 100, 3) * across
        grain = random.normal(0, 12, (height, width, 3))
        pictures.append(np.clip(colours + slope + grain, 0, 255).astype(np.uint8))
    return pictures


def _shape(entry: Any) -> str:
    return f"{entry.name} ({', '.join(map(str, entry.shape))})"


def _few(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
