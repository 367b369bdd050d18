"""Who imports whom: the contracts of pyproject.toml hold, and a forbidden import would be found."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = (
    "stepvec",
    "stepvec_cli",
    "local_pipeline",
    "lambdas",
    "stacks",
    "localaws",
    "testkit",
    "bench",
    "resilience",
    "tools",
    "worker_image",
)


def check(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=root,
        env={"PYTHONPATH": f"{root}:{root / 'worker_image'}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_go_one_way():
    result = check(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("stepvec/rows/item.py", "import os"),
        ("stepvec/runs/layout.py", "import boto3"),
        ("stepvec/runs/layout.py", "import stepvec.adapters.object_store"),
        ("stepvec/client/session.py", "import stepvec_cli.console"),
        ("lambdas/verify_run/handler.py", "import stepvec.client.session"),
        ("lambdas/verify_run/handler.py", "from stepvec import Stepvec"),
        ("localaws/cloud.py", "import local_pipeline.cloud"),
        ("worker_image/stepvec_worker/storage/rows.py", "import stepvec_worker.processes.messages"),
        ("worker_image/stepvec_worker/processes/messages.py", "import stepvec_worker.processes.supervisor"),
        ("localaws/scheduler.py", "import moto.core"),
        ("localaws/iam/policy.py", "import localaws.context"),
        ("testkit/processes.py", "import bench.worker"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path, module, line):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")
    result = check(tmp_path)
    assert result.returncode == 1
    assert "BROKEN" in result.stdout
