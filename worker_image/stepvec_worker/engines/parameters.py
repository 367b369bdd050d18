"""The parameters of weights.params, for the engines that build a graph of them in code."""

from __future__ import annotations

from pathlib import Path

from stepvec.errors import WeightsError
from stepvec.rows.model import ModelCard
from stepvec.weights.model_directory import REMAKE_REMEDY
from stepvec.weights.params_file import read_params
from stepvec.weights.specs import Parameters, parameter_shapes


def read_parameters(weights: Path, card: ModelCard) -> Parameters:
    """The parameters in the file `weights`. Raises WeightsError where they are not `card`'s architecture's."""
    parameters = read_params(weights.read_bytes(), where=str(weights))
    wanted = parameter_shapes(card.network)
    found = {name: array.shape for name, array in parameters.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise WeightsError(
                f"{weights} does not hold {card.network}: {name} has the shape {found.get(name)}, "
                f"not {wanted.get(name)}.",
                remedy=REMAKE_REMEDY,
            )
    return parameters
