"""MXNet itself: the one place that imports it, and sets what it reads from the environment on import."""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any, Final

from stepvec.errors import ConfigurationError, DeviceError

ENVIRONMENT: Final = {
    "OMP_NUM_THREADS": "1",
    "MXNET_CPU_WORKER_NTHREADS": "1",
    "MXNET_SUBGRAPH_VERBOSE": "0",
}
"""What MXNet and its OpenMP read when they load; what the operator has set already stays.

One thread a process: a process for each vCPU embeds more images than one process with a thread for each, whose
threads wait for each other as soon as the machine has anything else to do.
"""


def import_mxnet() -> ModuleType:
    """The module mxnet. Raises ConfigurationError where it cannot be loaded, with what is usually missing."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        # Seconds and hundreds of MB: only when a network is really loaded.
        return importlib.import_module("mxnet")
    except (ImportError, AttributeError, OSError) as error:
        # AttributeError: numpy 1.24 removed np.bool, which MXNet 1.9.1 uses; OSError: a shared library is missing.
        raise ConfigurationError(
            f"MXNet cannot be loaded: {error}.",
            remedy="It needs numpy 1.23.5 and the libraries libgomp1 and libquadmath0, as in the worker's image.",
        ) from error


def device_context(device: str) -> Any:
    """MXNet's context for `device`, "cpu" or "gpu" (the first one).

    Raises DeviceError where MXNet sees no GPU, ConfigurationError for another name.
    """
    mxnet = import_mxnet()
    if device == "cpu":
        return mxnet.cpu()
    if device != "gpu":
        raise ConfigurationError(f"Device {device!r} is unknown.", remedy='Use "cpu" or "gpu".')
    if _gpus(mxnet) == 0:
        raise DeviceError(
            "No GPU is there for MXNet.",
            remedy="Use --device cpu, or run the GPU image (MXNet's CUDA build) on an instance with an NVIDIA GPU.",
        )
    return mxnet.gpu(0)


def _gpus(mxnet: ModuleType) -> int:
    try:
        return int(mxnet.context.num_gpus())
    except mxnet.MXNetError as error:
        # A CUDA build on a machine without a driver raises instead of counting none.
        raise DeviceError(
            f"MXNet cannot count the GPUs: {error}.", remedy="Use --device cpu, or check the NVIDIA driver."
        ) from error
