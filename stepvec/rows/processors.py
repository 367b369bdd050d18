"""What a processor can compute with: the engines that exist for it, and the one that is taken where none is named."""

from __future__ import annotations

from typing import Final, Literal, get_args

from stepvec.errors import ConfigurationError
from stepvec.rows.model import ENGINES, Engine

Processor = Literal["x86_64", "arm64"]

PROCESSORS: Final[tuple[Processor, ...]] = get_args(Processor)
ENGINES_OF: Final[dict[Processor, tuple[Engine, ...]]] = {
    "x86_64": ENGINES,
    # MXNet has no wheels that work there; OpenVINO has, and was never seen to run (docs/arm.md).
    "arm64": ("onnxruntime",),
}
DEFAULT_ENGINES: Final[dict[Processor, Engine]] = {"x86_64": "mxnet", "arm64": "onnxruntime"}
"""On x86-64 the reference."""

_ARM_NAMES: Final = ("aarch64", "arm64")
"""What Linux and macOS call it (uname -m)."""


def processor_of(machine: str) -> Processor:
    """The processor that the system calls `machine` (platform.machine()): all that are not ARM's are x86-64."""
    return "arm64" if machine.lower() in _ARM_NAMES else "x86_64"


def check_processor(engine: Engine, processor: Processor, where: str) -> None:
    """Raises ConfigurationError where `engine` does not run on `processor`; `where` begins its message."""
    if engine not in ENGINES_OF[processor]:
        raise ConfigurationError(
            f"{where}: engine {engine} does not run on {processor}.",
            remedy=f"Use engine {' or '.join(ENGINES_OF[processor])} there.",
        )
