"""README and docs name what exists: files, make targets, links, decisions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

DOCUMENTS = sorted(
    path
    for path in (*ROOT.glob("*.md"), ROOT / "photos" / "README.md", *(ROOT / "docs").rglob("*.md"))
    if path.name != "CHANGELOG.md"
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
PLACES = (ROOT, ROOT / "worker_image", ROOT / "worker_image" / "stepvec_worker", ROOT / "stepvec", ROOT / "docs")
"""Where a path in backquotes may begin: the worker's files are often named from its package on."""
SUFFIXES = "py|md|json|toml|txt|in|sh|yml|yaml|html|jsonl"
MADE = {"cdk.out/", "holiday/", "model/", "images/", "images-old/", "shard-reports/", "verified/"}
"""Folders that a command makes, and prefixes in S3."""
GLOSSARY_LINES = 40


def code_spans(text: str) -> list[str]:
    """What stands in backquotes, outside fenced blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def paths(text: str) -> set[str]:
    """The paths of this repository that `text` names in backquotes: with a slash, and a suffix or slash at the end."""
    found = set()
    for span in code_spans(text):
        for word in span.split():
            path = word.split("::")[0].rstrip(".,;:")
            is_path = re.fullmatch(rf"[\w.-]+(/[\w.*-]+)*/([\w.-]+\.({SUFFIXES}))?", path)
            is_placeholder = re.search(r"\b[A-Z]+\b(?!\.md)", path)
            if is_path and not is_placeholder and path not in MADE and not path.startswith(("build/", "stepvec-out/")):
                found.add(path)
    return found


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def exists(path: str) -> bool:
    return any(any(place.glob(path.rstrip("/"))) for place in PLACES)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_path_exists(document: Path) -> None:
    # A decision is of its time: what it names may have moved since.
    if document in DECISIONS:
        return
    assert [path for path in sorted(paths(document.read_text())) if not exists(path)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    text = document.read_text()
    commands = [span for span in code_spans(text) if "make " in span]
    commands += [line for line in text.splitlines() if line.startswith("    ")]
    named = set()
    for command in commands:
        named.update(re.findall(r"(?:^|\s|&& )make ([a-z]+(?:-[a-z]+)*)(?=$|[\s`;:,.)])", command.split("#")[0]))
    assert named - targets == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_link_resolves(document: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_decision_is_in_the_index_with_its_title() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    for decision in DECISIONS:
        number = decision.name[:4]
        heading = decision.read_text().splitlines()[0]
        title = re.fullmatch(rf"# 0*{int(number)}\. (.+)", heading)
        assert title, f"{decision.name} begins with {heading!r}"
        assert f"| [{number}]({decision.name}) | {title[1]} | " in index


def test_the_index_has_no_decision_that_is_not_there() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    assert re.findall(r"^\| \[\d{4}\]\(([^)]+)\)", index, flags=re.MULTILINE) == [path.name for path in DECISIONS]


def test_the_glossary_stays_short() -> None:
    assert len((ROOT / "docs" / "glossary.md").read_text().splitlines()) <= GLOSSARY_LINES


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see `stepvec/limits.py`.", {"stepvec/limits.py"}),
        ("`tests/a.py::test_b` and `lambdas/`", {"tests/a.py", "lambdas/"}),
        ("```\n`not/here.py`\n```", set()),
        ("`runs/<n>.json`, `runs/RUN/N.json`, `build/model/model.json`, `{run, counts}`, `a/b`", set()),
    ],
)
def test_paths_are_found(text: str, found: set[str]) -> None:
    assert paths(text) == found
