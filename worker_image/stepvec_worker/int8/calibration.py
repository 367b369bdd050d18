"""Which layers of a network may compute in int8, found on photos.

Every choice is compared with the network's float32 vectors: what would change them more than allowed is not quantised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepvec.errors import ConfigurationError
from stepvec.weights.model_directory import ActivationRange, Calibration
from stepvec_worker.engines.openvino_runtime import import_openvino
from stepvec_worker.images.preprocessing import Pixels
from stepvec_worker.int8.networks import Network

FloatArray = NDArray[np.float32]

MIN_PHOTOS: Final = 32
"""Fewer say nothing about ranges or neighbours."""
_PROBES: Final = 32
"""Photos on which each layer's own loss is measured."""
_RANGE_PHOTOS: Final = 128
_SAMPLES: Final = 8_192
"""Activations kept for each layer and photo."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How near vectors are to the float32 ones: mean cosine, and the share of photos with the same neighbour."""

    cosine: float
    same_neighbour: float

    def reaches(self, minimum: Agreement) -> bool:
        """Whether both are at least as large as in `minimum`."""
        return self.cosine >= minimum.cosine and self.same_neighbour >= minimum.same_neighbour


MIN_AGREEMENT: Final = Agreement(cosine=0.99, same_neighbour=0.97)
"""On the photos of the calibration. What is asked of photos that it has not seen is 0.95 for the neighbours."""


class Calibrator:
    """The choice of layers for one network and one set of photos. `report` gets a line for each step."""

    def __init__(
        self,
        network: Network,
        photos: Sequence[Pixels],
        report: Callable[[str], None],
        *,
        minimum: Agreement = MIN_AGREEMENT,
    ) -> None:
        if len(photos) < MIN_PHOTOS:
            raise ConfigurationError(
                f"{len(photos)} photos can be read.", remedy=f"Give at least {MIN_PHOTOS}, better a few hundred."
            )
        self._network = network
        self._photos = photos
        self._report = report
        self._minimum = minimum
        self._reference = network.vectors({}, photos)

    def calibrate(self) -> Calibration:
        """As many layers in int8 as keep to `minimum`, those first that lose least for the work they save."""
        ranges = self._ranges()
        order = self._by_loss(ranges)
        # Agreement falls with every layer, but for noise: bisection finds where it becomes too little.
        most, agreement, low, high = 0, Agreement(1.0, 1.0), 1, len(order)
        while low <= high:
            count = high if most == 0 and high == len(order) else (low + high) // 2
            found = self._agreement({name: ranges[name] for name in order[:count]})
            self._report(
                f"{count} of {len(order)} layers in int8: cosine {found.cosine:.5f}, "
                f"same neighbour {found.same_neighbour:.3f}"
            )
            if found.reaches(self._minimum):
                most, agreement, low = count, found, count + 1
            else:
                high = count - 1
        return Calibration(
            architecture=self._network.card.architecture,
            weights_sha256=self._network.card.weights_sha256,
            tool=f"openvino {import_openvino().__version__.split('-')[0]}",
            photos=len(self._photos),
            cosine=round(agreement.cosine, 6),
            same_neighbour=round(agreement.same_neighbour, 4),
            layers={name: ranges[name] for name in sorted(order[:most])},
        )

    def _ranges(self) -> dict[str, ActivationRange]:
        """The best range of what goes into each layer."""
        photos = self._photos[:: max(1, len(self._photos) // _RANGE_PHOTOS)]
        watch = self._network.watch()
        random = np.random.default_rng(0)
        samples: dict[str, list[FloatArray]] = {}
        for photo in photos:
            for name, activations in watch(photo).items():
                values = activations.ravel()
                chosen = values[random.integers(0, values.size, _SAMPLES)]
                # The largest counts even if chance passes it over.
                kept = np.append(chosen, [values.min(), values.max()]).astype(np.float32)
                samples.setdefault(name, []).append(kept)
        self._report(f"ranges of {len(samples)} layers from {len(photos)} photos")
        return {name: best_range(np.concatenate(values)) for name, values in samples.items()}

    def _by_loss(self, ranges: dict[str, ActivationRange]) -> list[str]:
        """Layers by the cosine that each loses alone, for the multiplications that it saves; the least first."""
        probes, reference = self._photos[:_PROBES], self._reference[:_PROBES]
        loss = {}
        for name, range_ in ranges.items():
            vectors = self._network.vectors({name: range_}, probes)
            loss[name] = max(0.0, 1 - float(cosines(vectors, reference).mean()))
        self._report(f"loss of each of {len(loss)} layers alone, on {len(probes)} photos")
        return sorted(ranges, key=lambda name: loss[name] / self._work(name))

    def _work(self, name: str) -> float:
        """Something that grows as a layer's time: its weights, weighed less than in proportion."""
        return float(self._network.weights(name) ** 0.5)

    def _agreement(self, quantised: dict[str, ActivationRange]) -> Agreement:
        vectors = self._network.vectors(quantised, self._photos)
        same = neighbours(vectors) == neighbours(self._reference)
        return Agreement(float(cosines(vectors, self._reference).mean()), float(same.mean()))


def best_range(values: FloatArray) -> ActivationRange:
    """The range whose 256 levels are nearest to `values`, by squares: cutting off what is rare leaves finer levels."""
    is_signed = float(values.min()) < 0
    largest = float(np.abs(values).max()) or 1.0
    lowest_level, highest_level = (-128, 127) if is_signed else (0, 255)
    best: tuple[float, float] | None = None
    for share in np.linspace(0.3, 1.0, 36):
        step = largest * share / (128 if is_signed else 255)
        levels = np.clip(np.rint(values / step), lowest_level, highest_level) * step
        error = float(np.square(levels - values).mean())
        if best is None or error < best[0]:
            best = (error, step)
    step = best[1] if best is not None else 1.0
    return ActivationRange(lowest_level * step, highest_level * step)


def cosines(first: FloatArray, second: FloatArray) -> NDArray[Any]:
    """Row by row."""
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(1) / norms)


def neighbours(vectors: FloatArray) -> NDArray[np.intp]:
    """Of each row, the other row with the largest cosine."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -2)
    return np.asarray(similarity.argmax(axis=1))
