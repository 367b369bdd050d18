"""`stepvec local down`: ends a local AWS, wherever it was started."""

from __future__ import annotations

import os
import signal
import time
from typing import Final

from stepvec_cli.options import LocalName

_ENDING_SECONDS: Final = 20.0
"""More than an orderly end takes (stepvec_cli/endings.py)."""


def down(name: LocalName = None) -> None:
    """End a local AWS. Nothing of it is kept.

    Examples:
        stepvec local down
        stepvec local down --name second
    """
    from stepvec.client.local_aws import all_up, find_local
    from stepvec_cli.console import errors

    local = find_local(name, os.environ)
    os.kill(local.pid, signal.SIGTERM)
    if not _has_ended(local.pid, _ENDING_SECONDS):
        # Its keeper clears up.
        os.kill(local.pid, signal.SIGKILL)
        _has_ended(local.pid, _ENDING_SECONDS)
    # One that could not close in time leaves its file, which whoever looks removes.
    all_up(os.environ)
    errors.print(f"Ended the local AWS {local.name} ({local.endpoint_url}).", highlight=False)


def _has_ended(pid: int, seconds: float) -> bool:
    import psutil

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False
