"""int8 for an encoder of a user's own: refused where it does not keep the vectors, or saves nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from stepvec.errors import WeightsError
from stepvec.weights.model_directory import Calibration
from stepvec_worker.engines.embedder import Embedder
from stepvec_worker.engines.openvino_runtime import INSTRUCTIONS, cpu_flags, is_supported
from stepvec_worker.images.preprocessing import Pixels
from stepvec_worker.int8.calibration import MIN_AGREEMENT, Calibrator
from stepvec_worker.int8.networks import BATCH, OwnNetwork

MIN_SPEEDUP: Final = 1.2
"""How many times as fast as float32 it must be at least, to be worth another calibration and another name."""
_TIMES: Final = 3
_REMEDY: Final = "Use it in float32, which needs no engine and no precision."


def calibrate_own(
    network: OwnNetwork,
    photos: Sequence[Pixels],
    report: Callable[[str], None],
    *,
    least: float = MIN_SPEEDUP,
) -> Calibration:
    """The layers of `network` that keep its vectors in int8, if with them it is `least` times as fast as in float32.

    Raises WeightsError where there are none, or too few of them; ConfigurationError for too few photos.
    """
    name = network.card.architecture
    if not network.layers:
        raise WeightsError(
            f"{name} has no convolution and no linear layer with float32 weights: nothing could compute in int8.",
            remedy=_REMEDY,
        )
    calibration = Calibrator(network, photos, report).calibrate()
    if not calibration.layers:
        raise WeightsError(
            f"{name} loses its neighbours in int8: with any of its {network.layers} layers, fewer than "
            f"{MIN_AGREEMENT.same_neighbour:.0%} of the photos keep theirs, or the mean cosine is below "
            f"{MIN_AGREEMENT.cosine}.",
            remedy=_REMEDY,
        )
    if not is_supported("int8", cpu_flags()):
        lacking = " or ".join(INSTRUCTIONS["int8"])
        report(f"this processor lacks {lacking}: how much faster int8 is elsewhere is not measured")
        return calibration
    times = speedup(network.embedder({}), network.embedder(calibration.layers), photos[:BATCH])
    report(f"{times:.1f} times as fast as float32")
    if times < least:
        raise WeightsError(
            f"{name} gains nothing in int8: {len(calibration.layers)} of its {network.layers} layers keep the vectors, "
            f"and with these it is {times:.2f} times as fast as in float32; {least} is the least.",
            remedy=_REMEDY,
        )
    return calibration


def speedup(exact: Embedder, other: Embedder, photos: Sequence[Pixels]) -> float:
    """How many times as fast as `exact` the `other` is, in CPU time, in turns, each by its best."""
    best = {exact: float("inf"), other: float("inf")}
    for _ in range(_TIMES):
        for embedder in best:
            embedder.embed(photos)
            begin = time.process_time()
            embedder.embed(photos)
            best[embedder] = min(best[embedder], time.process_time() - begin)
    return best[exact] / best[other]
