"""OpenVINO itself: the one place that imports it, and says how it compiles and what it made of a graph."""

from __future__ import annotations

import importlib
from collections import Counter
from types import ModuleType
from typing import Any, Final

from stepvec.errors import ConfigurationError
from stepvec.rows.model import Precision

_HINTS: Final[dict[Precision, str]] = {"float32": "f32", "bf16": "bf16", "int8": "f32"}
"""Without a hint OpenVINO computes in bf16 wherever the processor can. What int8 leaves out stays float32."""

_PRECISIONS: Final[dict[str, Precision]] = {"f32": "float32", "bf16": "bf16", "u8": "int8", "i8": "int8"}
"""OpenVINO's names of what a layer computes with; a quantised one is named by what goes into it."""


def import_openvino() -> ModuleType:
    """The module openvino. Raises ConfigurationError where it cannot be loaded."""
    return _import("openvino")


def import_operators() -> ModuleType:
    """The operators that graphs are built of."""
    return _import("openvino.opset13")


def compile_graph(graph: Any, precision: Precision) -> Any:
    """`graph` compiled for one thread of this CPU."""
    return (
        import_openvino()
        .Core()
        .compile_model(
            graph,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": _HINTS[precision],
                "INFERENCE_NUM_THREADS": 1,
                "NUM_STREAMS": 1,
                # It would pin every process to the same core: two of them ran at half the speed each.
                "ENABLE_CPU_PINNING": False,
            },
        )
    )


def convolution_precisions(compiled: Any) -> Counter[Precision | str]:
    """How many convolutions of `compiled` compute in which precision: OpenVINO's own account, not what was asked."""
    counts: Counter[Precision | str] = Counter()
    for node in compiled.get_runtime_model().get_ordered_ops():
        about = node.get_rt_info()
        if "layerType" in about and "Convolution" in about["layerType"].astype(str):
            name = about["runtimePrecision"].astype(str)
            counts[_PRECISIONS.get(name, name)] += 1
    return counts


def describe(counts: Counter[Precision | str]) -> str:
    """What runs, for the log: "openvino int8", and how many convolutions stayed in another precision."""
    main = next((name for name in ("int8", "bf16", "float32") if counts[name]), "unknown")
    others = [f"{count} of {counts.total()} convolutions {name}" for name, count in counts.items() if name != main]
    return f"openvino {main}" + (f" ({', '.join(others)})" if others else "")


def _import(name: str) -> ModuleType:
    try:
        # Half a second: only when a network is really loaded.
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            f"OpenVINO cannot be loaded: {error}.",
            remedy="Deploy with engine mxnet, or install requirements/worker.txt. The GPU image has no OpenVINO.",
        ) from error
