"""The CDK app's assembly, kept: of the same settings, sources and CDK it is synthesized once, and copied from then on.

An entry is a folder named by a hash of everything that the app reads. It comes into being by one rename, so that it is
whole or not there, whoever else makes it at that moment; it lists the hash of each of its files, so that one that was
damaged since is made again. Where no folder can be written, nothing is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from local_pipeline.installation import ROOT
from stacks.config import settings_of

SOURCES: Final = (
    "cdk_app.py",
    "cdk.json",
    "stacks",
    "lambdas",
    "stepvec",
    "worker_image",
    "statemachine",
    "requirements/worker.txt",
    "requirements/worker-arm64.txt",
    "requirements/worker-gpu.txt",
    "requirements/worker-gpu-onnxruntime.txt",
    "build/lambda-packages",
    "build/model",
)
"""Whatever of the project the app reads (a test watches it read)."""
_LIBRARIES: Final = ("aws-cdk-lib", "constructs", "jsii")
_CONTENTS: Final = "contents.json"
_KEPT: Final = 6
"""Entries: those of some settings before and after a change. Each takes some 20 to 60 MB."""
_ABANDONED_SECONDS: Final = 3600
_FORM: Final = "1"
"""Of an entry; another number leaves those of before unused."""


class _DamagedError(Exception):
    """An entry is not what was written."""


def assembly_key(settings: Mapping[str, Any] | None = None, *, root: Path = ROOT) -> str:
    """A hash of all that the assembly of these settings follows from: they, the sources, the model, the libraries."""
    digest = hashlib.sha256()
    chosen = {**settings_of(os.environ), **(settings or {})}
    of_cdk = {name: value for name, value in os.environ.items() if name.startswith("CDK_") and name != "CDK_OUTDIR"}
    libraries = {name: version(name) for name in _LIBRARIES}
    digest.update(json.dumps([_FORM, chosen, of_cdk, libraries, sys.version], sort_keys=True).encode())
    for source in SOURCES:
        for path in _files(root / source):
            name = path.relative_to(root).as_posix()
            executable = path.stat().st_mode & stat.S_IXUSR
            digest.update(f"\0{name}\0{executable}\0".encode("utf-8", "surrogateescape"))
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def cache_folders(environ: Mapping[str, str]) -> list[Path]:
    """Where assemblies may be kept, the best place first: the project's build folder, the user's cache folder."""
    caches = environ.get("XDG_CACHE_HOME") or os.path.join(environ.get("HOME") or "/nonexistent", ".cache")  # noqa: PTH118
    return [ROOT / "build" / "assemblies", Path(caches) / "stepvec" / "assemblies"]


def provide_assembly(outdir: Path, key: str, make: Callable[[Path], None], folders: list[Path]) -> bool:
    """Fill the empty folder `outdir` with the assembly of this key; returns whether it was there already.

    If none of `folders` has it whole, `make` is called with a folder to synthesize it into. Raises what `make` raises.
    """
    for folder in folders:
        if _take(folder / key, outdir):
            return True
    make(outdir)
    for folder in folders:
        if _keep(folder, key, outdir):
            break
    return False


def _take(entry: Path, outdir: Path) -> bool:
    """Copy an entry, every file checked; a damaged one is removed, and nothing is left in `outdir`."""
    if not entry.exists():
        return False
    try:
        _copy_checked(entry, outdir)
    except (_DamagedError, OSError, ValueError):
        # As good as none: it is made again.
        _remove(entry)
        for path in outdir.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return False
    with suppress(OSError):
        os.utime(entry)
    return True


def _copy_checked(entry: Path, outdir: Path) -> None:
    contents = json.loads((entry / _CONTENTS).read_bytes())
    if not isinstance(contents, dict) or not contents:
        raise _DamagedError
    for name, expected in contents.items():
        source, target = entry / "files" / name, outdir / name
        data = source.read_bytes()
        if hashlib.sha256(data).hexdigest() != expected:
            raise _DamagedError
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        shutil.copymode(source, target)


def _keep(folder: Path, key: str, made: Path) -> bool:
    """Copy the assembly `made` to `folder` under its key; returns whether it is there."""
    # Not mkdtemp, whose folders only their maker may read.
    new = folder / f".new-{uuid.uuid4()}"
    try:
        new.mkdir(parents=True)
        shutil.copytree(made, new / "files")
        contents = {
            path.relative_to(made).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(made)
        }
        (new / _CONTENTS).write_text(json.dumps(contents))
        new.rename(folder / key)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        return os.access(folder / key / _CONTENTS, os.R_OK)  # somebody else was faster
    _forget_old(folder)
    return True


def _forget_old(folder: Path) -> None:
    """Remove all but the entries used last, and what somebody left who was killed while making or removing one.

    Who is copying an entry meanwhile finds it damaged, and makes it again.
    """
    with suppress(OSError):
        ages = {entry: time.time() - entry.stat().st_mtime for entry in folder.iterdir()}
        entries = sorted((entry for entry in ages if not entry.name.startswith(".")), key=ages.__getitem__)
        abandoned = [entry for entry, age in ages.items() if entry.name.startswith(".") and age > _ABANDONED_SECONDS]
        for entry in (*entries[_KEPT:], *abandoned):
            _remove(entry)


def _remove(entry: Path) -> None:
    """Remove an entry, out of sight first: half of it must not be found."""
    with suppress(OSError):
        gone = Path(tempfile.mkdtemp(prefix=".old-", dir=entry.parent))
        with suppress(OSError):
            entry.rename(gone / entry.name)
        shutil.rmtree(gone, ignore_errors=True)


def _files(path: Path) -> Iterator[Path]:
    """The files of a source, in an order that is always the same; byte code is none."""
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        yield from (Path(folder) / name for name in sorted(names) if not name.endswith(".pyc"))
