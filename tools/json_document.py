"""docs/json.md and docs/schemas/: what commands print with `--json`, made from the records that they print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from stepvec_cli.answers import ANSWERS

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
DOCUMENT: Final = DOCS / "json.md"
SCHEMAS: Final = DOCS / "schemas"
_HEAD: Final = """\
# What commands print with --json

Made from the records that the commands print; write it again with
`STEPVEC_UPDATE=1 .venv/bin/python -m pytest tests/unit/test_json_document.py`.

With `--json` a command prints one JSON document to standard output and nothing else there; whatever else it says goes
to standard error. `audit` prints a line for each finding, and its counts last. The exit code says the same as without
`--json` ([cli.md](cli.md#exit-codes)); where a command fails (1 without an answer, 2, 70) standard output stays empty.

Fields may be added. None is renamed, taken away or given another type before a new major version. A field that may be
missing has its default then. Figures that nobody knows are the text `"unknown"`. `schemas/` has a
[JSON Schema](https://json-schema.org/draft/2020-12) for each.
"""


def classes(command: str) -> list[Any]:
    """The records that a command prints."""
    parts = (name.partition(":") for name in ANSWERS[command])
    return [getattr(import_module(module), name) for module, _, name in parts]


def schemas() -> dict[str, str]:
    """The JSON Schema of each record by its file's name."""
    made = {}
    for command in ANSWERS:
        for record in classes(command):
            schema = TypeAdapter(record).json_schema(mode="serialization")
            schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_closed(schema)}
            made[f"{record.__name__}.json"] = json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
    return made


def document() -> str:
    """The whole text of docs/json.md."""
    return _HEAD + "".join(_section(command) for command in ANSWERS)


def _section(command: str) -> str:
    text = f"\n## stepvec {command} --json\n"
    for record in classes(command):
        schema = TypeAdapter(record).json_schema(mode="serialization")
        text += f"\n{_sentence(record)} [{record.__name__}.json](schemas/{record.__name__}.json)\n\n"
        text += "| Field | Type |\n|---|---|\n"
        text += "".join(f"| {name} | {kind} |\n" for name, kind in _fields(schema, schema.get("$defs", {})))
    return text


def _sentence(record: Any) -> str:
    return " ".join((record.__doc__ or "").split("\n\n")[0].split())


def _fields(schema: dict[str, Any], known: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each field, those of records in it below it, with its type."""
    for name, field in schema.get("properties", {}).items():
        yield f"{prefix}{name}", _type(field, known)
        for inner in _records(field, known):
            dots = "[]." if field.get("type") == "array" else "."
            yield from _fields(inner, known, f"{prefix}{name}{dots}")


def _records(field: dict[str, Any], known: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in (field, field.get("items", {}), *field.get("anyOf", ())):
        name = part.get("$ref", "").rpartition("/")[2]
        if name and name not in _own_sections() and "properties" in known[name]:
            yield known[name]


@cache
def _own_sections() -> set[str]:
    return {record.__name__ for command in ANSWERS for record in classes(command)}


def _type(field: dict[str, Any], known: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(part, known) for part in field["anyOf"])
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        if name in _own_sections():
            return f"[{name}](schemas/{name}.json)"
        target = known[name]
        return " or ".join(f'"{value}"' for value in target["enum"]) if "enum" in target else "object"
    if "enum" in field:
        return " or ".join(f'"{value}"' for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}), known)}"
    if isinstance(values := field.get("additionalProperties"), dict):
        return f"object: name to {_type(values, known)}"
    return str(field.get("type", "any"))


def _closed(schema: Any) -> Any:
    """The schema with no other fields allowed in a record than those it names."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items()}
    if "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed
