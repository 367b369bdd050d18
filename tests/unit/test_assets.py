"""What is uploaded is readable for whoever runs it, whatever the umask of who made it."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from stacks.assets import LAMBDA_PACKAGES, stage_lambda_code
from tests.conftest import ROOT


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("strict_umask")
def test_a_checkout_under_umask_077_makes_a_zip_that_lambda_can_read(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    for name in ("lambdas/list_images/handler.py", "stepvec/errors.py", f"{LAMBDA_PACKAGES}/package/module.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x = 1\n")
    program = root / LAMBDA_PACKAGES / "package" / "program"
    shutil.copy("/bin/true", program)
    program.chmod(0o700)
    staged = stage_lambda_code(root, tmp_path / "staged")
    modes = {path.relative_to(staged).as_posix(): path.stat().st_mode & 0o777 for path in staged.rglob("*")}
    assert staged.stat().st_mode & 0o777 == 0o755
    assert modes == {
        "lambdas": 0o755,
        "lambdas/list_images": 0o755,
        "lambdas/list_images/handler.py": 0o644,
        "package": 0o755,
        "package/module.py": 0o644,
        "package/program": 0o755,
        "stepvec": 0o755,
        "stepvec/errors.py": 0o644,
    }


def test_the_zip_has_none_of_the_packages_that_functions_may_not_import(tmp_path: Path) -> None:
    """As import-linter holds it: what is left out of the zip is what lambdas import nothing of."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (forbidden,) = (each["forbidden_modules"] for each in contracts if "lambdas" in each.get("source_modules", ()))
    root = tmp_path / "checkout"
    (root / LAMBDA_PACKAGES).mkdir(parents=True)
    (root / "lambdas").mkdir()
    shutil.copytree(ROOT / "stepvec", root / "stepvec")
    staged = stage_lambda_code(root, tmp_path / "staged")
    assert len(forbidden) >= 5
    assert [name for name in forbidden if (staged / name.replace(".", "/")).exists()] == []
