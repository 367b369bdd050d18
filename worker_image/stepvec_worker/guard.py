"""Limits of a process that reads what is not trusted: an ONNX file of somebody's, and photos with it."""

from __future__ import annotations

import resource
from typing import Final

_MEMORY: Final = 4 << 30
_MEMORY_OF_BYTE: Final = 8
"""Address space: of Python and the engines with what images take, and for each byte of the file, of which there are
copies while it is loaded."""


def limit_process(file_bytes: int, cpu_seconds: int) -> None:
    """From here on the process takes no more than a file of this size may, writes no file, and leaves no core."""
    memory = _MEMORY + _MEMORY_OF_BYTE * file_bytes
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
