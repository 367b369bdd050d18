"""Inputs as people have them, through the worker and ListImages: each kind has the outcome that is right."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from resilience.field import files, objects
from tests.conftest import ROOT

MIN_KINDS = 40


@pytest.fixture(scope="module")
def met() -> dict[str, Any]:
    """The outcomes by kind, met in one process of their own: ListImages' handler reads its environment once."""
    path = f"{ROOT}{os.pathsep}{ROOT / 'worker_image'}"
    done = subprocess.run(
        [sys.executable, "-m", "resilience.field", "--json"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {entry["kind"]: entry["outcome"] for entry in json.loads(done.stdout.splitlines()[-1])}


def described() -> list[tuple[str, str, str]]:
    of_files = [(kind.name, kind.source, kind.outcome) for kind in files.kinds()]
    return [*of_files, *((kind.name, kind.source, kind.outcome) for kind in objects.KINDS)]


@pytest.mark.parametrize(("name", "outcome"), [(name, outcome) for name, _, outcome in described()])
def test_a_kind_has_its_right_outcome(met: dict[str, Any], name: str, outcome: str) -> None:
    assert met[name] == outcome


def test_there_are_many_kinds_each_of_its_own_with_a_public_source() -> None:
    names = [name for name, _, _ in described()]
    assert len(set(names)) == len(names) >= MIN_KINDS
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", source) for _, source, _ in described())
