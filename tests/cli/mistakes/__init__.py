"""The mistakes that people make, by what they are made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.cli.mistakes.access import ACCESS
from tests.cli.mistakes.case import Mistake
from tests.cli.mistakes.deployments import DEPLOYMENTS
from tests.cli.mistakes.encoders import ENCODERS
from tests.cli.mistakes.local import LOCAL
from tests.cli.mistakes.places import PLACES
from tests.cli.mistakes.runs import RUNS
from tests.cli.mistakes.usage import USAGE

MISTAKES: Final[Mapping[str, Sequence[Mistake]]] = {
    "The command line": USAGE,
    "Photos, weights and the local AWS": LOCAL,
    "Encoders of your own": ENCODERS,
    "What is written, and where": PLACES,
    "The way to AWS": ACCESS,
    "Deployments and settings": DEPLOYMENTS,
    "Runs, exports and inventories": RUNS,
}
