"""The most memory that this process had at a time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_PEAK: Final = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def peak_memory_mb() -> int:
    """MiB of its largest resident set so far (Linux, proc(5)).

    Not getrusage's ru_maxrss: that begins with the size of the process that started this one.
    """
    found = _PEAK.search(Path("/proc/self/status").read_text(encoding="ascii", errors="replace"))
    return int(found[1]) // 1024 if found else 0
