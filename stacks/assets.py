"""What is uploaded: the Lambda zip's folder, and the build context of the worker's image."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import Final

from stepvec.errors import ConfigurationError
from stepvec.weights.model_directory import model_files, read_model_card

LAMBDA_PACKAGES: Final = Path("build") / "lambda-packages"
"""Third-party packages of the Lambda zip, installed from requirements/lambda.txt by `make setup`."""

_NOT_SOURCE = shutil.ignore_patterns("__pycache__", "*.pyc", ".mypy_cache", ".ruff_cache")


def stage_lambda_code(root: Path, target: Path) -> Path:
    """The folder that becomes the zip of every function: lambdas, stepvec's core and adapters, and packages."""
    packages = root / LAMBDA_PACKAGES
    if not packages.is_dir():
        raise ConfigurationError(f"There is no {LAMBDA_PACKAGES}.", remedy="Run `make setup`.")
    _copy(packages, target, leave_out=("bin",))
    _copy(root / "lambdas", target / "lambdas")
    # The functions have no numpy, which weights and vectors need, and no command line.
    left_out = ("client", "audit", "export", "neighbours", "page", "weights", "rows/vectors.py")
    _copy(root / "stepvec", target / "stepvec", leave_out=left_out)
    _readable_for_all(target)
    return target


def stage_worker_context(root: Path, target: Path, model_directory: Path) -> Path:
    """The build context of the worker's image: Dockerfile, locked requirements, worker, stepvec's core, the model."""
    _copy(root / "worker_image", target)
    for variant in ("", "-arm64", "-gpu", "-gpu-onnxruntime"):
        shutil.copy(root / "requirements" / f"worker{variant}.txt", target / f"requirements{variant}.txt")
    _copy(root / "stepvec", target / "stepvec", leave_out=("client", "audit", "export", "neighbours", "page"))
    (target / "model").mkdir()
    for name in model_files(read_model_card(model_directory)):
        shutil.copy(model_directory / name, target / "model" / name)
    _readable_for_all(target)
    return target


def _copy(source: Path, target: Path, *, leave_out: tuple[str, ...] = ()) -> None:
    def ignore(folder: str, names: list[str]) -> set[str]:
        ignored = set(_NOT_SOURCE(folder, names))
        inside = Path(folder).relative_to(source)
        return ignored | {name for name in names if (inside / name).as_posix() in leave_out}

    shutil.copytree(source, target, ignore=ignore, dirs_exist_ok=True)


def _readable_for_all(folder: Path) -> None:
    """Give all below `folder` the modes that a umask of 022 would have given.

    Zips and images carry the modes of files, and neither Lambda nor the worker's user is who staged them: checked out
    under a umask of 077, functions would end with "permission denied".
    """
    for path in (folder, *folder.rglob("*")):
        runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        path.chmod(0o755 if runs else 0o644)
