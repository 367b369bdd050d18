"""How long this process runs already, its interpreter's start and its imports included."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

_FIELDS_BEFORE_START_TIME: Final = 19
"""In /proc/self/stat, from the field after the command's name on: proc(5), starttime."""


def seconds_since_start(pid: int | None = None) -> float:
    """Seconds since the kernel started the process `pid`, or this one (Linux)."""
    # The command's name stands in parentheses and may hold anything, so what follows its last one counts.
    fields = Path(f"/proc/{pid or 'self'}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    started = int(fields[_FIELDS_BEFORE_START_TIME]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started
