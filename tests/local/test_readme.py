"""The README's block for the AWS CLI, as it stands there: a shell runs it, and the row is there at its end."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.conftest import ROOT
from tests.local.conftest import photo
from tests.local.test_cli import WITHOUT_AWS


def block(heading: str) -> str:
    """The first indented block below a heading of README.md."""
    section = (ROOT / "README.md").read_text().partition(f"\n## {heading}\n")[2]
    lines = re.search(r"(?:^    .*\n)+", section, flags=re.MULTILINE)
    assert lines, heading
    return re.sub(r"^    ", "", lines[0], flags=re.MULTILINE)


def test_the_block_for_the_aws_cli_waits_for_the_run_and_finds_its_row(tmp_path: Path) -> None:
    script = block("With the AWS CLI")
    assert script.index("describe-execution") < script.index("scan"), "it waits before it looks"
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "cat.jpg").write_bytes(photo(1))
    path = os.pathsep.join([str(ROOT / ".venv" / "bin"), os.environ["PATH"]])
    done = subprocess.run(
        ["/bin/bash", "-e", "-c", f"trap '.venv/bin/stepvec local down' EXIT\n{script}"],
        cwd=tmp_path, env={**WITHOUT_AWS, "PATH": path, "AWS_PAGER": "", "STEPVEC_STATE": str(tmp_path / "state")},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert "SUCCEEDED" in done.stdout.split(), done.stdout + done.stderr
    assert re.search(r'"Count": 1\b', done.stdout), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
