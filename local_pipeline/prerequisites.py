"""What this machine must have before Stepvec is deployed from it: a builder of images, the CDK command, a model."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

from local_pipeline.installation import CDK, MODEL_DIRECTORY, npx_command
from stepvec.client.doctor import Finding, Verdict
from stepvec.errors import StepvecError
from stepvec.rows.model import Architecture
from stepvec.weights.model_directory import read_model_card

FALLBACK_ARCHITECTURE: Final[Architecture] = "efficientnet_lite0"
"""What setup takes where nothing has ResNet18's weights."""
_INFO_SECONDS: Final = 20


def examine_machine() -> Iterator[Finding]:
    """Look at this machine, one finding after the other."""
    yield _builder()
    yield _cdk()
    yield _model()


def _builder() -> Finding:
    builder = os.environ.get("CDK_DOCKER", "docker")
    if _answers(builder):
        return Finding("container builder", Verdict.OK, builder)
    message = f"{builder} does not answer, and it must build the worker's image."
    return Finding(
        "container builder",
        Verdict.STOP,
        message,
        "Start Docker, or name another builder with CDK_DOCKER (podman, finch).",
        "https://docs.aws.amazon.com/cdk/v2/guide/build-containers.html",
    )


def _answers(builder: str) -> bool:
    if shutil.which(builder) is None:
        return False
    try:
        result = subprocess.run([builder, "info"], capture_output=True, check=False, timeout=_INFO_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


def _cdk() -> Finding:
    npx = npx_command(os.environ.get("PATH", ""))[-1]
    return Finding("CDK command", Verdict.OK, f"{CDK}, run by {npx}")


def _model() -> Finding:
    try:
        card = read_model_card(MODEL_DIRECTORY)
    except StepvecError as error:
        return Finding("model", Verdict.STOP, error.message, error.remedy)
    told = f"{card.architecture} ({card.source})"
    if card.architecture != FALLBACK_ARCHITECTURE:
        return Finding("model", Verdict.OK, told)
    message = f"{told}: what setup takes where nothing has ResNet18's weights. Its vectors are not ResNet18's."
    remedy = "For ResNet18: stepvec weights --from FILE. To deploy this one: stepvec deploy --accept-efficientnet."
    return Finding("model", Verdict.WARNING, message, remedy)
