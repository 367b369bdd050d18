"""The kept assembly: made once for the same settings and sources, again for others, and never half."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local_pipeline.assembly_cache import SOURCES, assembly_key, cache_folders, provide_assembly
from local_pipeline.installation import path_with_node
from tests.conftest import ROOT

FILES = {"manifest.json": b"{}", "asset.1/worker/run.sh": b"#!/bin/sh\n", "asset.1/bü.bin": bytes(1000)}


class Maker:
    """Synthesizes `FILES`, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, outdir: Path) -> None:
        self.times += 1
        for name, data in FILES.items():
            path = outdir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (outdir / "asset.1/worker/run.sh").chmod(0o755)


def provided(tmp_path: Path, make: Maker, key: str = "k", *, folders: list[Path] | None = None) -> bool:
    """Provide into a new folder, and look whether the whole assembly is there."""
    outdir = tmp_path / f"out-{len(list(tmp_path.glob('out-*')))}"
    outdir.mkdir()
    was_there = provide_assembly(outdir, key, make, folders if folders is not None else [tmp_path / "cache"])
    found = {path.relative_to(outdir).as_posix(): path.read_bytes() for path in outdir.rglob("*") if path.is_file()}
    assert found == FILES
    assert os.access(outdir / "asset.1/worker/run.sh", os.X_OK)
    return was_there


def test_the_same_is_made_once_and_another_again(tmp_path: Path) -> None:
    make = Maker()
    assert [provided(tmp_path, make, key) for key in ("a", "a", "b", "a", "b")] == [False, True, False, True, True]
    assert make.times == 2


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "list", "empty list"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    make = Maker()
    provided(tmp_path, make)
    entry = tmp_path / "cache" / "k"
    match damage:
        case "cut":
            (entry / "files/asset.1/bü.bin").write_bytes(bytes(999))
        case "changed":
            (entry / "files/asset.1/bü.bin").write_bytes(b"\1" + bytes(999))
        case "gone":
            (entry / "files/manifest.json").unlink()
        case "list":
            (entry / "contents.json").write_bytes((entry / "contents.json").read_bytes()[:-5])
        case "empty list":
            (entry / "contents.json").write_text("{}")
    assert not provided(tmp_path, make)
    assert provided(tmp_path, make)
    assert make.times == 2


def test_where_nothing_can_be_written_it_is_made_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file is no folder, for root either")
    make = Maker()
    nowhere = [tmp_path / "file" / "assemblies"]
    assert [provided(tmp_path, make, folders=nowhere) for _ in range(2)] == [False, False]
    second = [*nowhere, tmp_path / "second"]
    assert [provided(tmp_path, make, folders=second) for _ in range(2)] == [False, True]


def test_many_at_once_all_have_it_whole(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def run(number: int) -> None:
        place = tmp_path / str(number)
        place.mkdir()
        barrier.wait()
        for _ in range(5):
            provided(place, Maker(), folders=[tmp_path / "cache"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["k"]


def test_what_was_not_used_for_long_is_forgotten(tmp_path: Path) -> None:
    make = Maker()
    for number in range(10):
        provided(tmp_path, make, f"k{number}")
        os.utime(tmp_path / "cache" / f"k{number}", (number, number))
        provided(tmp_path, make, "k0")  # in use all the time
    assert {path.name for path in (tmp_path / "cache").iterdir()} >= {"k0", "k9"}
    assert len(list((tmp_path / "cache").iterdir())) <= 6


def test_what_a_killed_process_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name in (".new-old", ".old-old", ".new-now"):
        (cache / name).mkdir(parents=True)
    for name in (".new-old", ".old-old"):
        os.utime(cache / name, (0, 0))
    provided(tmp_path, Maker(), "k")
    assert {path.name for path in cache.iterdir()} == {"k", ".new-now"}


def test_a_failed_synthesis_is_not_kept(tmp_path: Path) -> None:
    def fail(_: Path) -> None:
        raise RuntimeError("no")

    (tmp_path / "out").mkdir()
    with pytest.raises(RuntimeError):
        provide_assembly(tmp_path / "out", "k", fail, [tmp_path / "cache"])
    assert not provided(tmp_path, Maker())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("CDK_", "STEPVEC_"))]:
        monkeypatch.delenv(name)
    for source in SOURCES:
        target = tmp_path / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_file():
            target.write_bytes(b"x")
        else:
            target.mkdir()
            (target / "file.py").write_bytes(b"x")
    return tmp_path


def test_a_changed_source_or_setting_has_another_key(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [assembly_key(root=project)]

    def is_new() -> bool:
        keys.append(assembly_key(root=project))
        return keys.count(keys[-1]) == 1

    assert not is_new()
    for source in SOURCES:
        path = project / source if (project / source).is_file() else project / source / "file.py"
        path.write_bytes(b"y")
        assert is_new(), source
        if path.name == "file.py":
            path.with_name("new.py").write_bytes(b"")
            assert is_new(), source
    path = project / "lambdas" / "file.py"
    path.chmod(0o755)
    assert is_new()
    path.rename(path.with_name("other.py"))
    assert is_new()
    monkeypatch.setenv("STEPVEC_SETTINGS", json.dumps({"shard_size": 7}))
    assert is_new()
    assert assembly_key({"shard_size": 7}, root=project) == keys[-1]
    assert assembly_key({"shard_size": 8}, root=project) not in keys
    monkeypatch.setenv("CDK_CONTEXT_JSON", "{}")
    assert is_new()
    (project / "stacks" / "__pycache__").mkdir()
    (project / "stacks" / "__pycache__" / "file.pyc").write_bytes(b"")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert not is_new()


WATCHED = """
import os, runpy, sys
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if path.startswith(sys.argv[1] + os.sep):
            seen.add(path)
seen = set()
sys.addaudithook(watch)
try:
    runpy.run_path(sys.argv[1] + "/cdk_app.py", run_name="__main__")
finally:
    print(*sorted(seen), sep="\\n")
"""


def test_every_file_of_the_project_that_the_app_reads_is_in_the_key(tmp_path: Path) -> None:
    environment = {**os.environ, "CDK_OUTDIR": str(tmp_path), "PATH": path_with_node(os.environ.get("PATH", ""))}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(ROOT)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    read = {Path(line).relative_to(ROOT) for line in done.stdout.splitlines() if Path(line).is_file()}
    # The environment's libraries are in the key by their versions, and byte code follows from its source.
    read = {path for path in read if path.parts[0] not in (".venv", ".git") and path.suffix != ".pyc"}
    read = {path for path in read if not path.is_relative_to("build/pycache")}
    assert len(read) > 100
    assert [path for path in read if not any(path.is_relative_to(source) for source in SOURCES)] == []


def test_the_users_cache_folder_comes_after_the_projects() -> None:
    first, second = cache_folders({"HOME": "/home/me"})
    assert first == ROOT / "build" / "assemblies"
    assert second == Path("/home/me/.cache/stepvec/assemblies")
    assert cache_folders({"HOME": "/h", "XDG_CACHE_HOME": "/x"})[1] == Path("/x/stepvec/assemblies")
