"""Files that commands write: refused before the work, whole or not there after it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from stepvec.adapters.outputs import Need, check_file, check_folder, check_suffix, fallback_folder, written
from stepvec.errors import OutputError
from tests.cli.disks import disk


def entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.rglob("*"))


def test_what_can_be_written_passes_and_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("old")
    check_file(tmp_path / "old.csv")
    check_file(tmp_path / "new" / "deep" / "v.parquet", Need(1000, "a thousand bytes"))
    check_folder(tmp_path / "results" / "of-today", ["report.json"])
    assert entries(tmp_path) == ["old.csv"]
    assert (tmp_path / "old.csv").read_text() == "old"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("folder", "folder is a folder, and a file is to be written"),
        ("file/v.parquet", "file is a file, and a folder is needed there"),
        ("file/deeper/v.parquet", "file is a file, and a folder is needed there"),
        ("pipe", "is not a file that can be replaced"),
        ("loop", "Too many levels of symbolic links"),
        ("x" * 300, "File name too long"),
        ("x" * 300 + "/v.parquet", "File name too long"),
        ("a\0b", "cannot be the name of a file"),
    ],
)
def test_what_cannot_be_a_file_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = entries(tmp_path)
    with pytest.raises(OutputError, match=said):
        check_file(tmp_path / name)
    assert entries(tmp_path) == before


def test_a_folder_is_refused_for_one_name_in_it(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    check_folder(tmp_path, ["vectors.parquet"])
    with pytest.raises(OutputError, match=r"report\.json is a folder"):
        check_folder(tmp_path, ["vectors.parquet", "report.json"])


def test_devices_are_not_replaced() -> None:
    with pytest.raises(OutputError, match="device"):
        check_file(Path("/dev/null"))


def test_a_read_only_disk_is_found_by_trying(tmp_path: Path) -> None:
    with disk(tmp_path / "ro", kilobytes=64, read_only=True) as place:
        with pytest.raises(OutputError, match="Read-only file system"):
            check_file(place / "v.parquet")
        with pytest.raises(OutputError, match="Read-only file system"):
            check_folder(place / "new" / "results")


def test_a_full_disk_is_found_by_writing_a_block(tmp_path: Path) -> None:
    with disk(tmp_path / "full", kilobytes=64) as place:
        (place / "filler").write_bytes(bytes(64 * 1024))
        with pytest.raises(OutputError, match="its disk is full"):
            check_file(place / "v.parquet")
        assert entries(place) == ["filler"]


def test_too_little_space_is_told_with_the_estimate(tmp_path: Path) -> None:
    said = r"65\.5 kB free, and 20 vectors are expected to take 102\.4 kB"
    with disk(tmp_path / "small", kilobytes=64) as place, pytest.raises(OutputError, match=said):
        check_file(place / "v.parquet", Need(102_400, "20 vectors"))


def test_a_file_is_whole_or_what_it_was(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), written(target) as unfinished:
        unfinished.write_text(f"half, beside {target.read_text()}, {1 // 0}")
    assert (target.read_text(), entries(tmp_path)) == ("old", ["report.json"])
    with written(target) as unfinished:
        unfinished.write_text("new")
    assert (target.read_text(), entries(tmp_path)) == ("new", ["report.json"])


def test_a_disk_that_fills_up_leaves_what_was_there(tmp_path: Path) -> None:
    with disk(tmp_path / "small", kilobytes=64) as place:
        target = place / "v.bin"
        target.write_text("old")
        with pytest.raises(OutputError, match="its disk is full"), written(target) as unfinished:
            unfinished.write_bytes(bytes(128 * 1024))
        assert (target.read_text(), entries(place)) == ("old", ["v.bin"])


def test_what_cannot_be_read_is_not_blamed_on_the_file_that_is_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written(tmp_path / "out"):
        (tmp_path / "not-there").read_bytes()


def test_a_link_stays_and_the_file_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with written(tmp_path / "link") as unfinished:
        unfinished.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o640


def test_a_new_file_gets_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with written(tmp_path / "new" / "v.npy") as unfinished:
            assert unfinished.suffix == ".npy"
            unfinished.write_text("x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new" / "v.npy").stat().st_mode) == 0o640


def test_only_suffixes_that_are_written_pass() -> None:
    assert check_suffix(Path("v.CSV"), (".parquet", ".csv")) == ".csv"
    with pytest.raises(OutputError, match=r"ends in \.xlsx") as refusal:
        check_suffix(Path("v.xlsx"), (".parquet", ".csv"))
    assert refusal.value.remedy == "End its name in .parquet or .csv."
    with pytest.raises(OutputError, match="no suffix"):
        check_suffix(Path("vectors"), (".parquet",))


def test_results_fall_back_to_a_place_that_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    with disk(tmp_path / "ro", kilobytes=64, read_only=True) as place:
        monkeypatch.chdir(place)
        folder = fallback_folder(Need(1000, "results"))
    assert folder.parent == tmp_path / "home"
