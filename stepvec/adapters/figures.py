"""The figures that estimates start from, read from the package: AWS's prices and our measured throughput."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final, TypeVar

from stepvec import codec
from stepvec.estimate.capacity import Throughput
from stepvec.estimate.prices import Prices

PRICES_FILE: Final = "prices.json"
THROUGHPUT_FILE: Final = "throughput.json"

_Figures = TypeVar("_Figures")


@cache
def load_prices() -> Prices:
    """The prices that this version of Stepvec carries."""
    return _load(Prices, PRICES_FILE)


@cache
def load_throughput() -> Throughput:
    """The throughput that was measured for this version of Stepvec."""
    return _load(Throughput, THROUGHPUT_FILE)


def _load(cls: type[_Figures], name: str) -> _Figures:
    return codec.from_json(cls, resources.files("stepvec.estimate").joinpath(name).read_text(), where=name)
