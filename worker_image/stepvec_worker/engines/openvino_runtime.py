"""OpenVINO itself: the one place that imports it, says what this processor can compute, and compiles a graph."""

from __future__ import annotations

import importlib
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from stepvec.errors import ConfigurationError
from stepvec.rows.model import Precision

CPUINFO: Final = Path("/proc/cpuinfo")

INSTRUCTIONS: Final[dict[Precision, tuple[str, ...]]] = {
    "float32": (),
    "bf16": ("avx512_bf16", "amx_bf16"),
    "int8": ("avx512_vnni", "avx_vnni", "amx_int8"),
}
"""Any one of them makes a precision faster than float32 (arch/x86/include/asm/cpufeatures.h has the names)."""

_HINTS: Final[dict[Precision, str]] = {"float32": "f32", "bf16": "bf16", "int8": "f32"}
"""Without a hint OpenVINO computes in bf16 wherever the processor can. What int8 leaves out stays float32."""

_PRECISIONS: Final[dict[str, Precision]] = {"f32": "float32", "bf16": "bf16", "u8": "int8", "i8": "int8"}
"""OpenVINO's names of what a layer computes with; a quantised one is named by what goes into it."""

PRODUCTS: Final = ("Convolution", "FullyConnected")
"""OpenVINO's kinds of layers that multiply with weights."""

_STAYS_FLOAT32: Final = {"name": "precise", "version": "0"}
"""OpenVINO's attribute of a node whose precision is not lowered (ov::disable_fp16_compression; for bf16 too). Python
can set it only through the graph's XML form."""


def import_openvino() -> ModuleType:
    """The module openvino. Raises ConfigurationError where it cannot be loaded."""
    return _import("openvino")


def import_operators() -> ModuleType:
    """The operators that graphs are built of."""
    return _import("openvino.opset13")


def constant(numbers: Any) -> Any:
    """A copy of the array `numbers` as a node. OpenVINO itself would make a list of it: half a second a network."""
    return import_openvino().op.Constant(np.ascontiguousarray(numbers))


def _import(name: str) -> ModuleType:
    try:
        # Half a second: only when a network is really loaded.
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            f"OpenVINO cannot be loaded: {error}.",
            remedy="Deploy with engine mxnet, or install requirements/worker.txt. The GPU image has no OpenVINO.",
        ) from error


def cpu_flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """The flags of the first processor in `cpuinfo`; none where it cannot be read."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def is_supported(precision: Precision, flags: frozenset[str]) -> bool:
    """Whether a processor of these `flags` has instructions for `precision`."""
    wanted = INSTRUCTIONS[precision]
    return not wanted or not flags.isdisjoint(wanted)


def with_float32(graph: Any, names: frozenset[str]) -> Any:
    """A copy of `graph` whose nodes of these friendly names stay float32. Goes through the temporary folder."""
    openvino = import_openvino()
    with tempfile.TemporaryDirectory(prefix="stepvec-graph-") as folder:
        xml = Path(folder) / "graph.xml"
        openvino.serialize(graph, xml)
        tree = ET.parse(xml)  # noqa: S314 - written by OpenVINO in the line above
        for layer in tree.iter("layer"):
            if layer.get("name") in names:
                attributes = ET.Element("rt_info")
                ET.SubElement(attributes, "attribute", _STAYS_FLOAT32)
                # Readers expect it right after the layer's data.
                layer.insert(1 if layer.find("data") is not None else 0, attributes)
        tree.write(xml)
        # The weights stay mapped into memory after the folder is gone.
        return openvino.Core().read_model(xml)


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


def layer_precisions(compiled: Any, kinds: Sequence[str] = ("Convolution",)) -> Counter[Precision | str]:
    """How many layers of these kinds of `compiled` compute in which precision, by OpenVINO's own account."""
    counts: Counter[Precision | str] = Counter()
    for node in compiled.get_runtime_model().get_ordered_ops():
        about = node.get_rt_info()
        if "layerType" in about and any(kind in about["layerType"].astype(str) for kind in kinds):
            name = about["runtimePrecision"].astype(str)
            counts[_PRECISIONS.get(name, name)] += 1
    return counts


def describe(counts: Counter[Precision | str], layers: str = "convolutions") -> str:
    """What runs, for the log: "openvino int8", and how many of the `layers` stayed in another precision."""
    main = next((name for name in ("int8", "bf16", "float32") if counts[name]), "unknown")
    others = [f"{count} of {counts.total()} {layers} {name}" for name, count in counts.items() if name != main]
    return f"openvino {main}" + (f" ({', '.join(others)})" if others else "")
