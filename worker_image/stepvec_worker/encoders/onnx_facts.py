"""What an ONNX file says of itself, read without loading it: no tensor is copied, and no operator runs.

ONNX Runtime would tell some of it, but only once it has loaded the file, together with the files that the file names.
Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from stepvec.errors import WeightsError
from stepvec.rows.encoder import MIN_OPSET
from stepvec.weights.protobuf import MalformedError, fields

STANDARD_DOMAINS: Final = frozenset({"", "ai.onnx"})
"""Of ONNX's own operators; all others are somebody's."""

_MAX_DEPTH: Final = 32
"""Of graphs in nodes of graphs (If, Loop)."""
_EXTERNAL: Final = 1
"""TensorProto.DataLocation."""
_GRAPH, _OPSET, _FUNCTION = 7, 8, 25
"""Fields of a ModelProto."""
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15
"""Fields of a GraphProto."""


@dataclass(slots=True)
class OnnxFacts:
    """opset: of ONNX's own operators, 0 where none is named. custom: (domain, operator) of nodes of other domains.

    tensors: names of what the graph's own nodes give, its outputs and all in between.
    """

    opset: int = 0
    nodes: int = 0
    custom: set[tuple[str, str]] = field(default_factory=set)
    external: bool = False
    tensors: set[str] = field(default_factory=set)


def read_facts(data: memoryview, where: str) -> OnnxFacts:
    """The facts of the ONNX file `data`. Raises WeightsError for what is no ONNX file, or is not all there."""
    facts = OnnxFacts()
    try:
        for number, value in fields(data):
            if number == _GRAPH:
                _read_graph(_message(value), facts, 0)
            elif number == _OPSET:
                domain, version = _opset(_message(value))
                facts.opset = max(facts.opset, version) if domain in STANDARD_DOMAINS else facts.opset
            elif number == _FUNCTION:
                _read_function(_message(value), facts)
    except (MalformedError, UnicodeDecodeError) as error:
        raise WeightsError(
            f"{where} is no ONNX file, or not all of one: {error}.",
            remedy="Give the whole file that the export wrote, not a pickle, an archive or a part.",
        ) from error
    if not facts.nodes:
        raise WeightsError(
            f"{where} is no ONNX file: it has no graph.",
            remedy="Export the network with torch.onnx.export, or optimum.",
        )
    return facts


def check_facts(facts: OnnxFacts, where: str) -> None:
    """Raises WeightsError for what is never loaded: data in other files, others' operators, an opset too old."""
    if facts.external:
        raise WeightsError(
            f"The weights of {where} lie in another file (external data).",
            remedy="Save it as one file: onnx.save(onnx.load(PATH), NEW_PATH), or export with external_data=False.",
        )
    if facts.custom:
        domain, operator = min(facts.custom)
        raise WeightsError(
            f"{where} has operators that are not ONNX's own: {operator} of {domain}.",
            remedy="Export it without custom operators, and without the fusions of a runtime's optimizer.",
        )
    if facts.opset < MIN_OPSET:
        raise WeightsError(
            f"{where} is of opset {facts.opset}.", remedy=f"Export it with opset_version={MIN_OPSET} or more."
        )


def _read_graph(graph: memoryview, facts: OnnxFacts, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise MalformedError(f"graphs in graphs, {depth} deep")
    for number, value in fields(graph):
        if number == _NODE:
            _read_node(_message(value), facts, depth)
        elif number == _INITIALIZER:
            _read_tensor(_message(value), facts)
        elif number == _SPARSE:
            for part, tensor in fields(_message(value)):
                if part in (1, 2):  # its values, and where they are
                    _read_tensor(_message(tensor), facts)


def _read_function(function: memoryview, facts: OnnxFacts) -> None:
    for number, value in fields(function):
        if number == 7:
            _read_node(_message(value), facts, 1)


def _read_node(node: memoryview, facts: OnnxFacts, depth: int) -> None:
    operator = domain = ""
    for number, value in fields(node):
        if number == 2 and depth == 0:
            facts.tensors.add(_text(value))
        if number == 4:
            operator = _text(value)
        elif number == 7:
            domain = _text(value)
        elif number == 5:
            _read_attribute(_message(value), facts, depth)
    facts.nodes += 1
    if domain not in STANDARD_DOMAINS:
        facts.custom.add((domain, operator))


def _read_attribute(attribute: memoryview, facts: OnnxFacts, depth: int) -> None:
    for number, value in fields(attribute):
        if number in (5, 10):  # a tensor, tensors
            _read_tensor(_message(value), facts)
        elif number in (6, 11):  # a graph, graphs
            _read_graph(_message(value), facts, depth + 1)


def _read_tensor(tensor: memoryview, facts: OnnxFacts) -> None:
    for number, value in fields(tensor):
        if number == 13 or (number == 14 and value == _EXTERNAL):
            facts.external = True


def _opset(entry: memoryview) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in fields(entry):
        if number == 1:
            domain = _text(value)
        elif number == 2 and isinstance(value, int):
            version = value
    return domain, version


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise MalformedError("a number stands where a message belongs")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_message(value)).decode()
