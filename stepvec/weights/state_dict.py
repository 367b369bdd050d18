"""From arrays under someone else's names to the parameters of an architecture, compared one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepvec.errors import WeightsError
from stepvec.rows.model import Architecture
from stepvec.weights.specs import IGNORED_GAMMA, Parameters, parameter_shapes

State = Mapping[str, NDArray[Any]]
"""Arrays by name, as a file holds them."""

_TORCH_SUFFIX: Final = {"gamma": "weight", "beta": "bias"}
"""torch's name of a parameter where it differs from Gluon's; the running statistics are called alike."""

_LEFT_OUT: Final = re.compile(r"(output\.|dense0_|fc\.|_fc\.).*|.*num_batches_tracked")
"""What no embedding needs: the classifier, under each of its names, and torch's counters of training steps."""


def torch_names(architecture: Architecture, layers: Mapping[str, str]) -> dict[str, str]:
    """torch's name of each of our parameters; `layers` gives torch's layer for each of Gluon's."""
    names = {}
    for name in parameter_shapes(architecture):
        layer, _, kind = name.rpartition(".")
        names[name] = f"{layers[layer]}.{_TORCH_SUFFIX.get(kind, kind)}"
    return names


def rename(architecture: Architecture, names: Mapping[str, str], state: State) -> Parameters:
    """`state` as the parameters of `architecture`, float32, in canonical order; `names` gives theirs for each of ours.

    Equal weights give equal parameters, whichever file they come from: the classifier is left out, and the one
    gamma that MXNet ignores becomes 1. Raises WeightsError naming the first parameter that is missing, has another
    shape or type, holds a value that is not finite, or belongs to no layer.
    """
    parameters: Parameters = {}
    for name, shape in parameter_shapes(architecture).items():
        theirs = names[name]
        if theirs not in state:
            raise _error(architecture, f"parameter {theirs} is missing")
        array = state[theirs]
        if array.shape != shape:
            raise _error(architecture, f"parameter {theirs} has the shape {array.shape}, not {shape}")
        if array.dtype.kind != "f":
            raise _error(architecture, f"parameter {theirs} holds {array.dtype}, not floating-point numbers")
        with np.errstate(over="ignore"):  # what overflows is infinite, and refused below
            parameters[name] = np.ascontiguousarray(array, np.float32)
        if not np.isfinite(parameters[name]).all():
            raise _error(architecture, f"parameter {theirs} holds infinities or NaN")
    known = set(names.values())
    for theirs in state:
        # A deeper network of the family has all that a smaller one has, and more.
        if theirs not in known and not _LEFT_OUT.fullmatch(theirs):
            raise _error(architecture, f"parameter {theirs} belongs to none of its layers")
    if architecture == "resnet18_v2":
        parameters[IGNORED_GAMMA] = np.ones_like(parameters[IGNORED_GAMMA])
    return parameters


def _error(architecture: Architecture, problem: str) -> WeightsError:
    return WeightsError(
        f"These are not weights of {architecture}: {problem}.",
        remedy="Give a file of this architecture, or name the file's own with --architecture.",
    )
