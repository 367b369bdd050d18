"""An HTTP API as it is deployed, and what the embedded AWS must know to answer for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from localaws.log_stream import LogSink

DEFAULT_STAGE = "$default"
"""The stage that is not part of the path."""


@dataclass(frozen=True, slots=True)
class Integration:
    """What a route hands its requests to: a Lambda function, by AWS_PROXY with payload format 2.0."""

    function_arn: str
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `authorization` is AWS_IAM or NONE."""

    key: str
    authorization: str
    integration: Integration

    @property
    def method(self) -> str:
        """GET, POST or the like; ANY for all; "" of $default."""
        return self.key.partition(" ")[0] if " " in self.key else ""

    @property
    def path(self) -> str:
        """The path with its {variables}; "" of $default."""
        return self.key.partition(" ")[2]


@dataclass(frozen=True, slots=True)
class Stage:
    """The stage `$default`. `rate` is requests a second and `burst` requests at once, 0 where neither is limited."""

    rate: float
    burst: int
    log_group: str = ""
    log_format: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HttpApi:
    """One API."""

    api_id: str
    routes: tuple[Route, ...]
    stage: Stage | None


@dataclass(frozen=True, slots=True)
class Invoked:
    """What a function gave: its answer as JSON, or a failure."""

    payload: bytes
    failed: bool


class FunctionUnavailableError(Exception):
    """The function could not be invoked now: the account's concurrency is used up."""


class HttpApis(Protocol):
    """The APIs of the account, and the functions behind them."""

    def find(self, api_id: str) -> HttpApi | None:
        """The API of this id, as it is now."""

    def function_policy(self, function_arn: str) -> Mapping[str, Any]:
        """The resource policy of a function; without statements where the function is not there."""

    def invoke(self, function_arn: str, event: Mapping[str, Any]) -> Invoked:
        """Invokes a function and waits. Raises FunctionUnavailableError."""

    def logs(self) -> LogSink:
        """Where access logs are written."""
