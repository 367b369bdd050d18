"""Images embedded again on this machine, by the worker's own code in the worker's own environment."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from local_pipeline.installation import MODEL_DIRECTORY, ROOT, WORKER_PYTHON
from stepvec.errors import ConfigurationError
from stepvec.rows.model import ModelIdentity
from stepvec.weights.model_directory import read_model_card

_WHOSE: Final = "The deployment embeds with"
_WITHOUT: Final = "or give --sample 0, which compares no vectors."


class Reembedder:
    """Embeds files one by one, in a process that lives as long as the block of `reembedder`."""

    def __init__(self, process: subprocess.Popen[str], otherwise: str = _WITHOUT) -> None:
        self._process = process
        self._otherwise = otherwise

    def vector(self, file: Path) -> npt.NDArray[np.float32] | str:
        """The file's vector, or why it cannot be embedded. Raises ConfigurationError where the worker ended."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process was started without pipes")
        try:
            self._process.stdin.write(f"{file}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # its end is told from its output, with its last words
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            words = self._process.stderr.read().strip().splitlines()[-1:] if self._process.stderr else []
            raise ConfigurationError(
                f"The worker's process ended while it embedded {file}: {''.join(words) or self._process.returncode}.",
                remedy=f"See whether `stepvec local run` works here, {self._otherwise}",
            )
        answer: dict[str, Any] = json.loads(line)
        if "vector" in answer:
            return np.frombuffer(base64.b64decode(answer["vector"]), "<f4")
        return f"{answer['reason']}: {answer['message']}"


@contextmanager
def reembedder(model: str, *, whose: str = _WHOSE, otherwise: str = _WITHOUT) -> Iterator[Reembedder]:
    """A Reembedder of `model`. Raises ConfigurationError where this checkout cannot embed with it.

    The error says `whose` model that is, and what the user may do `otherwise`.
    """
    if not WORKER_PYTHON.exists():
        raise ConfigurationError(
            "The worker's environment is not on this machine, so images cannot be embedded again.",
            remedy=f"Run `make setup` in a checkout, {otherwise}",
        )
    identity = ModelIdentity.parse(model)
    card = read_model_card(MODEL_DIRECTORY)
    here = str(card.identity(identity.preprocessing, identity.engine, identity.precision))
    if here != model:
        raise ConfigurationError(
            f"{whose} {model}, but the model in {MODEL_DIRECTORY.relative_to(ROOT)} is {here}.",
            remedy=f"Make the same model with `stepvec weights`, {otherwise}",
        )
    command = [str(WORKER_PYTHON), "-m", "stepvec_worker.reembed", "--model-directory", str(MODEL_DIRECTORY)]
    process = subprocess.Popen(
        [*command, "--model", model],
        # Without the caller's AWS credentials: it decodes untrusted bytes and needs no AWS.
        env={
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "worker_image")]),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Reembedder(process, otherwise)
        finally:
            process.kill()
