"""What the first local run would do once, done by `make setup`: byte code, and the template of cdk.json's settings.

Byte code is written beside its source, where whatever starts Python finds it, by `make` or by hand. uv writes none when
it installs.
"""

from __future__ import annotations

import compileall
import os
import sys
import tempfile
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final

from local_pipeline.assembly_cache import assembly_key, cache_folders, provide_assembly
from local_pipeline.installation import ROOT, local_settings, synthesize
from stepvec.errors import ConfigurationError

OURS: Final = ("stepvec", "stepvec_cli", "local_pipeline", "localaws", "stacks", "lambdas", "worker_image")
OF_A_LOCAL_RUN: Final = (
    "localaws",
    "local_pipeline.one_shot",
    "stepvec_cli.local_run",
    "stepvec_cli.local_up",
    "pydantic",
)
"""Modules that import, between them, what a local run does."""


def prepare() -> None:
    """Compile and synthesize what is not yet. Settings that cannot be synthesized are left to whoever uses them."""
    sys.dont_write_bytecode = False
    for package in OURS:
        compileall.compile_dir(ROOT / package, quiet=1)
    for module in OF_A_LOCAL_RUN:
        import_module(module)
    with tempfile.TemporaryDirectory(prefix="stepvec-assembly-") as folder, suppress(ConfigurationError):
        chosen = local_settings()
        provide_assembly(
            Path(folder), assembly_key(chosen), partial(synthesize, settings=chosen), cache_folders(os.environ)
        )


if __name__ == "__main__":
    prepare()
