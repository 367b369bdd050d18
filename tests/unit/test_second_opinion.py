"""The second opinion's own judgement: what differs, and whether it is explained."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.conftest import ROOT
from tests.second_opinion.differences import EXPLANATIONS, Explanation, differences, explain


def recording(**changes: Any) -> Any:
    end = {"status": "SUCCEEDED", "error": None, "cause": None, "output": None}
    values = {"path": ["Start", "Complete"], "calls": {"VerifyRun": 1, "SubmitJob 0": 1}, "end": end, **changes}
    return SimpleNamespace(**values)


def test_the_same_is_no_difference_whoever_counts_jobs_and_whatever_spaces_json_has() -> None:
    ours = recording(end={"status": "FAILED", "error": "E", "cause": '{"a":1}', "output": None})
    theirs = recording(
        calls={"VerifyRun": 1}, end={"status": "FAILED", "error": "E", "cause": '{"a": 1}', "output": None}
    )
    assert differences(ours, theirs) == {}


def test_another_path_and_another_call_are_differences() -> None:
    found = differences(recording(), recording(path=["Start"], calls={"VerifyRun": 2}))
    assert found == {
        "path": (["Start", "Complete"], ["Start"]),
        "calls": ({"VerifyRun": 1}, {"VerifyRun": 2}),
    }


def test_only_what_is_named_is_explained_and_what_explains_nothing_is_told() -> None:
    explanations = (
        Explanation(("a", "b*"), ("path",), "known"),
        Explanation(("*",), ("output",), "needless"),
    )
    found = {"a": {"path": (1, 2), "error": (1, 2)}, "bc": {"path": (1, 2)}, "d": {"path": (1, 2)}}
    assert explain(found, explanations) == ({("a", "path"): "known", ("bc", "path"): "known"}, ["needless"])


def test_every_explanation_is_a_line_of_the_document() -> None:
    section = (ROOT / "docs" / "local.md").read_text().partition("## A second opinion")[2]
    assert [one.reason for one in EXPLANATIONS if f"| {one.reason} | " not in section] == []
