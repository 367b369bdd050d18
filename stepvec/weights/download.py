"""One file over HTTP, quickly given up on: these sources come and go."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import Final
from urllib.parse import urlsplit

from stepvec.errors import WeightsError
from stepvec.weights.formats import MAXIMUM_BYTES, too_large

TIMEOUT_SECONDS: Final = 5.0
"""For the connection, and for each read after it."""

_REMEDY: Final = "Check the network, or get the file elsewhere and give it with --from."


def download(url: str) -> bytes:
    """The body behind `url`. Raises WeightsError, in one line, for whatever hinders it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise WeightsError(f"{url} is no HTTP address.", remedy="Begin it with https://.")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - scheme checked above
            body: bytes = response.read(MAXIMUM_BYTES + 1)
            expected = response.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        raise WeightsError(f"{parts.netloc} answers {error.code} {error.reason}.", remedy=_REMEDY) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise WeightsError(f"{parts.netloc} cannot be reached ({_cause(error)}).", remedy=_REMEDY) from error
    if len(body) > MAXIMUM_BYTES:
        raise too_large(url)
    # read(n) with a limit does not complain about a connection that ends early.
    if expected is not None and expected.isdigit() and len(body) != int(expected):
        raise WeightsError(f"{parts.netloc} broke off after {len(body):,} of {expected} bytes.", remedy=_REMEDY)
    return body


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return f"no answer within {TIMEOUT_SECONDS:.0f} s"
    return str(getattr(reason, "strerror", None) or reason or type(reason).__name__)
