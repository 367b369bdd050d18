"""The environment of a process that reads a user's ONNX file: no credentials, and nothing else of its starter's."""

from __future__ import annotations

import os

from local_pipeline.installation import ROOT


def bare_environment() -> dict[str, str]:
    """Variables of such a process of the worker's environment: the file is not trusted."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "worker_image")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
