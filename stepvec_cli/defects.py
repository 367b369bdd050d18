"""The file that a defect leaves: what was run, by which versions, and where it failed."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def write_traceback(error: BaseException) -> Path | None:
    """Write the traceback of `error` to a file of its own, for its owner only; None where no folder takes one.

    It holds the command line and versions, and nothing of the environment, in which credentials may be.
    """
    text = "\n".join(
        [
            f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
            shlex.join(["stepvec", *sys.argv[1:]]),
            f"stepvec {version('stepvec')}, Python {platform.python_version()}, {platform.platform()}",
            "",
            "".join(traceback.format_exception(error)),
        ]
    )
    for folder in _folders():
        try:
            descriptor, name = tempfile.mkstemp(prefix="stepvec-error-", suffix=".txt", dir=folder)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return Path(name)
    return None


def _folders() -> list[str]:
    try:
        return [tempfile.gettempdir(), str(Path.cwd())]
    except OSError:  # no folder for temporary files, or one's own folder is gone
        return []
