"""Nodes of a graph that stay float32 while the rest computes in bf16."""

from __future__ import annotations

import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, Final

from stepvec_worker.engines.openvino_runtime import import_openvino

_ATTRIBUTE: Final = {"name": "precise", "version": "0"}
"""OpenVINO's mark of a node whose precision is not lowered (ov::disable_fp16_compression; for bf16 as well). Python can
set it only through the graph's XML form."""


def with_float32(graph: Any, names: frozenset[str]) -> Any:
    """`graph` again, its nodes of these friendly names marked to stay float32. Passes through the temporary folder."""
    openvino = import_openvino()
    with tempfile.TemporaryDirectory(prefix="stepvec-graph-") as folder:
        xml = Path(folder) / "graph.xml"
        openvino.serialize(graph, xml)
        tree = ET.parse(xml)  # noqa: S314 - written by OpenVINO in the line above
        for layer in tree.iter("layer"):
            if layer.get("name") in names:
                marks = ET.Element("rt_info")
                ET.SubElement(marks, "attribute", _ATTRIBUTE)
                # Readers expect it right after the layer's data.
                layer.insert(1 if layer.find("data") is not None else 0, marks)
        tree.write(xml)
        # The weights stay mapped into memory after the folder is gone.
        return openvino.Core().read_model(xml)
