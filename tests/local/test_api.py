"""`from stepvec import Stepvec`: the examples of its docstrings, and what goes wrong."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import stepvec
from stepvec import Stepvec, StepvecError, client, read_vector
from stepvec.client import api
from tests.conftest import ROOT
from tests.local.conftest import Pipeline, photo


@pytest.fixture
def environment(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that `stepvec local up` prints, and none of this machine's."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in pipeline.client_environment().items():
        monkeypatch.setenv(name, value)


def test_the_examples_of_the_docstrings_are_true(pipeline: Pipeline, environment: None) -> None:
    for number in range(3):
        pipeline.put(f"photos/{number}.jpg", photo(number))
    pipeline.put("more-photos/0.jpg", photo(7))
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    # In the order in which they are written: later examples look at runs of earlier ones.
    shared = {"Stepvec": Stepvec}
    documented: list[Any] = [
        Stepvec, Stepvec.run, Stepvec.wait, Stepvec.report, Stepvec.vector, Stepvec.vectors, Stepvec.to_arrow,
    ]  # fmt: skip
    told: list[str] = []
    for number, what in enumerate(documented):
        test = parser.get_doctest(what.__doc__ or "", shared, f"{number} {what.__qualname__}", api.__file__, None)
        assert test.examples, f"{what.__qualname__} has no example"
        runner.run(test, out=told.append, clear_globs=False)
    assert not runner.failures, "".join(told)


def test_the_examples_of_the_document_are_true(
    pipeline: Pipeline, environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        pipeline.put(f"holiday/{number}.jpg", photo(number))
    # As `stepvec local up` prints it.
    monkeypatch.setenv("STEPVEC_TABLE", pipeline.deployment.table)
    document = ROOT / "docs" / "python.md"
    test = doctest.DocTestParser().get_doctest(document.read_text(), {}, document.name, str(document), 0)
    assert len(test.examples) > 20
    told: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=told.append)
    assert not runner.failures, "".join(told)


def test_what_the_document_says_of_the_api_is_there() -> None:
    text = (ROOT / "docs" / "python.md").read_text()
    public = {name: member for name, member in vars(Stepvec).items() if not name.startswith("_")}
    calls = {name: name if isinstance(member, property) else f"{name}(" for name, member in public.items()}
    assert [name for name, call in calls.items() if f".{call}" not in text and f"`{call})`" not in text] == []


def test_a_vector_is_that_of_the_row(pipeline: Pipeline, environment: None) -> None:
    folder = pipeline.folder()
    pipeline.put(f"{folder}/1.jpg", photo(1))
    found = Stepvec()
    assert found.wait(found.run(folder)).status == "SUCCEEDED"
    item = pipeline.dynamodb.get_item(TableName=pipeline.deployment.table, Key={"ImageId": {"S": f"{folder}/1.jpg"}})
    row = {name: next(iter(value.values())) for name, value in item["Item"].items()}
    np.testing.assert_array_equal(found.vector(f"{folder}/1.jpg"), read_vector(row))
    assert list(found.vectors(folder, model="other")) == []


def test_a_mistake_says_what_to_do(pipeline: Pipeline, environment: None) -> None:
    found = Stepvec()
    for mistake, told in (
        (lambda: found.run(), "paths or a manifest"),
        (lambda: found.report("no-such-run"), "There is no run 'no-such-run'"),
        (lambda: found.vector("no-such-image"), "no row 'no-such-image'"),
        (lambda: Stepvec(data_stack="Other"), "There is no stack Other"),
    ):
        with pytest.raises(StepvecError, match=told) as raised:
            mistake()
        assert raised.value.remedy


def test_a_name_that_is_not_public_is_none() -> None:
    assert set(stepvec.__all__) == {"Stepvec", "StepvecError", "read_vector"}
    assert client
    with pytest.raises(AttributeError, match="no attribute 'Deployment'"):
        _ = stepvec.Deployment


def test_stepvec_itself_imports_neither_boto3_nor_numpy() -> None:
    """The Lambda zip has no client, and the worker no use for it."""
    program = (
        "import sys, stepvec.codec, stepvec; sys.exit(bool({'boto3', 'numpy', 'stepvec.client'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
