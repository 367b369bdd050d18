"""What the ways past boto3 have in common: when they leave all to it for a while, and whose certificates they trust."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final

from botocore.httpsession import where

MAX_CONSECUTIVE_FAILURES: Final = 20
PAUSE_SECONDS: Final = 60.0
"""After so many requests in a row that boto3 had to make again, it makes all for this long: either the service
throttles us, or something here (a proxy, a certificate, a firewall) does not suit the other way, and trying costs more
than it saves."""


class Pause:
    """Whether a way past boto3 is to be left alone now. Safe to use from several threads, not across a fork."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._until = float("-inf")

    def is_on(self) -> bool:
        """Whether boto3 makes all requests now."""
        return self._clock() < self._until

    def note_success(self) -> None:
        """Call when a request was answered."""
        self._failures = 0

    def note_failure(self) -> bool:
        """Call when boto3 has to make a request again; returns whether the pause begins with it."""
        with self._lock:
            self._failures += 1
            if self._failures < MAX_CONSECUTIVE_FAILURES:
                return False
            self._failures = 0
            self._until = self._clock() + PAUSE_SECONDS
        return True


def certificate_authorities() -> str:
    """The file of certificates that boto3 trusts: the operator's own bundle or its package's."""
    return os.environ.get("AWS_CA_BUNDLE") or where()
