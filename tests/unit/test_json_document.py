"""What commands print with --json is documented, by a schema for each, and a command that answers has the option.

    STEPVEC_UPDATE=1 .venv/bin/python -m pytest tests/unit/test_json_document.py

writes docs/json.md and docs/schemas/ again.
"""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

import pytest

from stepvec_cli.answers import ANSWERS
from stepvec_cli.help import Command
from stepvec_cli.lazy import LazyGroup
from tests.unit.test_cli_document import ALL, command
from tools.json_document import DOCUMENT, SCHEMAS, document, schemas

jsonschema: Any = importlib.import_module("jsonschema")  # it has no types
REMEDY = "STEPVEC_UPDATE=1 .venv/bin/python -m pytest tests/unit/test_json_document.py"
WITHOUT_AN_ANSWER = {"local up", "local env", "local exec", "local down"}
"""What runs until it is ended, runs another command, or prints lines for a shell."""


def test_the_document_and_the_schemas_are_those_of_the_records() -> None:
    text, files = document(), schemas()
    if os.environ.get("STEPVEC_UPDATE"):
        SCHEMAS.mkdir(exist_ok=True)
        DOCUMENT.write_text(text)
        for old in SCHEMAS.glob("*.json"):
            old.unlink()
        for name, schema in files.items():
            (SCHEMAS / name).write_text(schema)
    assert DOCUMENT.read_text() == text, REMEDY
    assert {file.name: file.read_text() for file in SCHEMAS.glob("*.json")} == files, REMEDY


@pytest.mark.parametrize("name", schemas())
def test_a_schema_is_one(name: str) -> None:
    schema = json.loads((SCHEMAS / name).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert not jsonschema.Draft202012Validator(schema).is_valid({"nonsense": 1})


def test_every_command_that_answers_does_so_in_json_too() -> None:
    single = [words for words in ALL if isinstance(command(words), Command)]
    with_json = {" ".join(words) for words in single if any(param.name == "as_json" for param in command(words).params)}
    assert with_json == set(ANSWERS), "stepvec_cli/answers.py: ANSWERS names the record of each command with --json"
    assert {" ".join(words) for words in single} - with_json <= WITHOUT_AN_ANSWER


def test_the_option_is_the_same_everywhere() -> None:
    for name in ANSWERS:
        (option,) = (param for param in command(tuple(name.split())).params if param.name == "as_json")
        assert option.opts == ["--json"]
        assert "standard output" in (option.help or "")  # type: ignore[attr-defined]


def test_groups_have_no_answer() -> None:
    assert not [words for words in ALL if isinstance(command(words), LazyGroup) and " ".join(words) in ANSWERS]
