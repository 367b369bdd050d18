"""The token bucket by which API Gateway throttles.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class TokenBuckets:
    """A bucket of `burst` requests for each API, filled again with `rate` requests a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str, *, rate: float, burst: int) -> bool:
        """Whether one more request may pass now; one that may not costs nothing."""
        now = self._clock()
        with self._lock:
            tokens, last = self._buckets.get(name, (float(burst), now))
            tokens = min(float(burst), tokens + (now - last) * rate)
            passes = tokens >= 1
            self._buckets[name] = (tokens - passes, now)
            return passes
