"""The HTTP API that starts runs: what its function and its clients agree on. docs/http.md is for its users."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from stepvec.errors import InvalidInputError
from stepvec.limits import EXECUTION_NAME_CHARACTERS, STATE_PAYLOAD_BYTES

HTTP_OUTPUT: Final = "HttpUrl"
"""The output of the pipeline stack with the API's address."""
RUNS_PATH: Final = "/runs"
RUN_PATH: Final = "/runs/{run}"
REPORT_PATH: Final = "/runs/{run}/report"
ROUTES: Final = (("POST", RUNS_PATH), ("GET", RUN_PATH), ("GET", REPORT_PATH))
"""Method and path of each route."""

TOKEN_HEADER: Final = "Idempotency-Key"  # noqa: S105 - a header's name
"""https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/"""
NAME_PREFIX: Final = "http-"
"""Before the token in a run's name, so that no token takes the name of a run of uploads or of a user's own."""
TOKEN_CHARACTERS: Final = EXECUTION_NAME_CHARACTERS - len(NAME_PREFIX)
_TOKEN: Final = re.compile(rf'("?)([A-Za-z0-9_-]{{1,{TOKEN_CHARACTERS}}})\1')
"""The draft has it in quotation marks, and many write it without."""

INPUT_BYTES: Final = STATE_PAYLOAD_BYTES - 1_024
"""Most bytes of an input: the machine's first state adds the run's name and start to it, some 200."""

Refusal = Literal["InvalidInput", "NoSuchRun", "NoReport", "TokenUsed", "InputTooLarge", "Unavailable"]


@dataclass(frozen=True, slots=True)
class HttpRun:
    """A run: of POST /runs and of GET /runs/RUN. `status` is of Step Functions; error and cause of one that failed."""

    run: str
    status: str
    started: str
    error: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class HttpRefusal:
    """What is answered instead. `message` says what is wrong and what to do."""

    error: Refusal
    message: str


def run_name(token: str | None) -> str:
    """The name of the run that `token` starts. Raises InvalidInputError for one that is missing or cannot be a name."""
    if token is None:
        raise InvalidInputError(
            f"The header {TOKEN_HEADER} is missing.",
            remedy="Send a token of your own for each run; sent again, it starts nothing twice.",
        )
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise InvalidInputError(
            f"The header {TOKEN_HEADER} is not a token.",
            remedy=f"Use 1 to {TOKEN_CHARACTERS} letters, digits, - and _, and send it once.",
        )
    return f"{NAME_PREFIX}{match[2]}"
