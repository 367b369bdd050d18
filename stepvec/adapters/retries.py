"""Sending a request of a service again: what may pass, how often, how long to wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from stepvec.adapters.aws_errors import as_storage_error, error_code
from stepvec.errors import StorageError
from stepvec.pacing import backoff_seconds

Answer = TypeVar("Answer")

_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Retries:
    """How requests of `service` are tried again: for errors of these codes, so many times in all."""

    service: str
    codes: frozenset[str]
    attempts: int

    def answer(
        self,
        what: str,
        request: Callable[[], Answer],
        *,
        starved: Callable[[str], StorageError],
        sleep: Callable[[float], None] = time.sleep,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """The answer to `request`, a call of a client that does not try again itself; `what` names it in errors.

        Raises StorageError: at once for what will not pass and once `is_stopped`, and what `starved` makes of the last
        error's text after the last attempt.
        """
        for attempt in range(self.attempts):
            try:
                return request()
            except (ClientError, BotoCoreError) as error:
                if not self._may_pass(error) or is_stopped():
                    raise as_storage_error(self.service, what, error) from error
                if attempt == self.attempts - 1:
                    raise starved(str(error)) from error
            sleep(backoff_seconds(attempt))
        raise AssertionError("unreachable")

    def _may_pass(self, error: ClientError | BotoCoreError) -> bool:
        """Whether the same request may succeed in a while: throttled, a fault of the service, or of the network."""
        if isinstance(error, ClientError):
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            return error_code(error) in self.codes or status >= _SERVER_ERROR
        return isinstance(error, HTTPClientError)
