"""The most memory that this process had at a time. Imports nothing but the standard library: any environment has it."""

from __future__ import annotations

import re
from pathlib import Path


def peak_mb() -> float:
    """MiB of its largest resident set so far (Linux, proc(5)). Raises RuntimeError elsewhere.

    Not getrusage's ru_maxrss: that begins with the size of the process that started this one.
    """
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError("/proc/self/status has no VmHWM: this needs Linux.")
    return int(found[1]) / 1024
