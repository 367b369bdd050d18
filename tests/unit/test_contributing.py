"""What CONTRIBUTING.md tells a newcomer is true, and the files that GitHub and pre-commit read name what exists."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

yaml: Any = importlib.import_module("yaml")
MAX_FILES = 4
ADDING = (ROOT / "CONTRIBUTING.md").read_text().partition("## To add\n")[2].partition("\n## ")[0]
SECTIONS = dict(re.findall(r"^### (.+)\n\n((?:.*\n)*?)(?=^###|\Z)", ADDING, flags=re.MULTILINE))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def steps(section: str) -> list[str]:
    return re.findall(r"^\d+\. (.+(?:\n   .+)*)", section, flags=re.MULTILINE)


@pytest.mark.parametrize("name", SECTIONS)
def test_adding_takes_few_files_and_each_has_what_is_named(name: str) -> None:
    found = steps(SECTIONS[name])
    assert 1 <= len(found) <= MAX_FILES
    for step in found:
        spans = re.findall(r"`([^`]+)`", step)
        paths = [ROOT / span for span in spans if "/" in span or span.endswith(".toml")]
        assert paths, step
        assert all(path.exists() for path in paths), step
        text = "".join(path.read_text() for path in paths if path.is_file())
        text += "".join(file.read_text() for path in paths if path.is_dir() for file in path.rglob("*.py"))
        # What a handler or a metric is called is the reader's own.
        words = [word for span in spans for word in re.findall(r"@?[A-Za-z_]{4,}", span) if ROOT / span not in paths]
        assert [word for word in words if word not in text and word not in ("METRIC", "STEPVEC_NAME", "value")] == []


def test_the_recipes_are_those_that_were_promised() -> None:
    assert set(SECTIONS) == {
        "A setting", "A model", "A fault", "A resource of the embedded AWS", "A metric", "A command", "A dependency",
    }  # fmt: skip


def test_the_table_of_tests_names_folders_that_exist() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("## Which tests when\n")[2].partition("\n## ")[0]
    named = re.findall(r"tests/\w+", table)
    assert named
    assert [folder for folder in named if not (ROOT / folder).is_dir()] == []


def test_the_workflow_runs_what_ci_runs() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    commands = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert ".ci/run" in commands
    assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_an_issue_form_is_one_that_github_takes(form: Path) -> None:
    content = yaml.safe_load(form.read_text())
    if form.name == "config.yml":
        assert set(content) <= {"blank_issues_enabled", "contact_links"}
        return
    assert {"name", "description", "body"} <= set(content)
    ids = [field["id"] for field in content["body"]]
    assert len(set(ids)) == len(ids)
    for field in content["body"]:
        assert field["type"] in ("textarea", "input", "dropdown", "checkboxes", "markdown")
        assert field["attributes"]["label"]


def test_pre_commit_takes_its_configuration_and_every_hook_is_there() -> None:
    file = ROOT / ".pre-commit-config.yaml"
    checked = subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-config", str(file)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    (repository,) = yaml.safe_load(file.read_text())["repos"]
    # Hooks from elsewhere would be fetched over the network, in versions of their own.
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert os.access(ROOT / hook["entry"].split()[0], os.X_OK), hook["entry"]


def test_a_large_file_is_refused_and_a_small_one_is_not(tmp_path: Path) -> None:
    for name, size, code in (("small", 1000, 0), ("a large one", 300_000, 1)):
        (tmp_path / name).write_bytes(bytes(size))
        done = subprocess.run(
            [str(ROOT / "tools" / "large_files.sh"), str(tmp_path / name)], capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr


def test_the_dev_container_is_the_linux_that_the_readme_asks_for() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    # The machine's own processor: nothing needs to be emulated on ARM.
    assert "--platform" not in json.dumps(container)
    dockerfile = (ROOT / ".devcontainer" / container["build"]["dockerfile"]).read_text()
    assert {"libgomp1", "libquadmath0"} <= set(re.findall(r"\w+", dockerfile))
