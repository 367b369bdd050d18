"""docs/http.md's block, as it stands there: a shell runs it, and the report is there at its end; and `run --http`."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from tests.conftest import ROOT
from tests.local.conftest import photo
from tests.local.test_cli import WITHOUT_AWS

BY_COMMAND = """
by_http() { .venv/bin/stepvec run "$@" --http --name second --json; }
{ by_http images --wait; by_http images; } > commands.json
! by_http other 2> refused.txt
"""


def block(heading: str) -> str:
    """The first indented block below a heading of docs/http.md."""
    section = (ROOT / "docs" / "http.md").read_text().partition(f"\n## {heading}\n")[2]
    lines = re.search(r"(?:^    .*\n)+", section, flags=re.MULTILINE)
    assert lines, heading
    return re.sub(r"^    ", "", lines[0], flags=re.MULTILINE)


def test_the_block_for_curl_starts_a_run_and_the_command_does_the_same(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "cat.jpg").write_bytes(photo(1))
    path = os.pathsep.join([str(ROOT / ".venv" / "bin"), os.environ["PATH"]])
    script = f"trap '.venv/bin/stepvec local down' EXIT\n{block('Try it here')}{BY_COMMAND}"
    done = subprocess.run(
        ["/bin/bash", "-e", "-c", script],
        cwd=tmp_path, env={**WITHOUT_AWS, "PATH": path, "AWS_PAGER": "", "STEPVEC_STATE": str(tmp_path / "state")},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    started, ended, report = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert (started["run"], ended["run"]) == ("http-first", "http-first")
    assert (ended["status"], report["embedded"], report["complete"]) == ("SUCCEEDED", 1, True)

    answers, decoder = [], json.JSONDecoder()
    text = (tmp_path / "commands.json").read_text().strip()
    while text:
        answer, end = decoder.raw_decode(text)
        answers.append(answer)
        text = text[end:].strip()
    waited, again = answers
    assert (waited["run"], waited["status"], waited["report"]["unchanged"]) == ("http-second", "SUCCEEDED", 1)
    assert again == {**waited, "report": None}
    refused = (tmp_path / "refused.txt").read_text()
    assert "The run http-second has another input." in refused
    assert "Traceback" not in done.stderr + refused
