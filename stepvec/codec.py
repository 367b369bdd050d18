"""Records to JSON and back. What comes in is checked here, once: types strictly, unknown and missing fields by name."""

from __future__ import annotations

import dataclasses
import json
from enum import StrEnum
from typing import Any, TypeVar

import cattrs
from cattrs.gen import make_dict_unstructure_fn, override
from cattrs.preconf.json import make_converter

from stepvec.errors import RecordError

Record = TypeVar("Record")

_converter = make_converter(forbid_extra_keys=True, detailed_validation=True)


def _strict(expected: type) -> Any:
    def structure(value: Any, _: type) -> Any:
        # bool is a subclass of int in Python, but `true` is not a number in JSON.
        if isinstance(value, bool) is not (expected is bool) or not isinstance(value, expected):
            raise TypeError(f"expected {expected.__name__}, got {type(value).__name__} {value!r:.40}")
        return value

    return structure


for primitive in (bool, int, str):
    _converter.register_structure_hook(primitive, _strict(primitive))
_converter.register_structure_hook(
    float, lambda value, _: float(value) if type(value) is int else _strict(float)(value, float)
)
# StrEnum itself, since each of ours is a str too, whose hook would leave it plain text.
_converter.register_structure_hook(StrEnum, lambda value, cls: cls(value))


def _omitted(cls: Any) -> list[str]:
    """Fields that are left out where they have their default: records of versions before them stay the same."""
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        return []
    return [field.name for field in dataclasses.fields(cls) if field.metadata.get("omit_default")]


def _without_omitted(cls: Any) -> Any:
    overrides: dict[str, Any] = {name: override(omit_if_default=True) for name in _omitted(cls)}
    return make_dict_unstructure_fn(cls, _converter, **overrides)


_converter.register_unstructure_hook_factory(lambda cls: bool(_omitted(cls)), _without_omitted)


def to_document(record: Any) -> Any:
    """The record as plain dicts, lists, strings and numbers."""
    return _converter.unstructure(record)


def to_json(record: Any) -> str:
    """The record as one line of JSON. Non-ASCII text stays as it is (UTF-8)."""
    return json.dumps(to_document(record), ensure_ascii=False, separators=(",", ":"))


def from_document(cls: type[Record], document: Any, *, where: str) -> Record:
    """The record of class `cls` that `document` holds; `where` names it in the error.

    Raises RecordError naming each wrong, missing or unknown field.
    """
    try:
        return _converter.structure(document, cls)
    except cattrs.BaseValidationError as error:
        problems = "; ".join(cattrs.transform_error(error, path=cls.__name__))
        raise RecordError(f"{where}: {problems}.", remedy=_REMEDY) from error
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        # AttributeError: cattrs was given a list or a number where a record belongs.
        raise RecordError(f"{where}: {error}.", remedy=_REMEDY) from error


def from_json(cls: type[Record], text: str | bytes, *, where: str) -> Record:
    """The record of class `cls` in the JSON `text`; `where` names it in the error. Raises RecordError."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise RecordError(f"{where} is not JSON: {error}.", remedy=_REMEDY) from error
    return from_document(cls, document, where=where)


_REMEDY = "It was written by another version or edited by hand: start the run again."
