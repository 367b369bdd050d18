"""How long `stepvec` takes to say something, and to embed one photo: this checkout and another one, in turns.

    python -m bench.starting OTHER_CHECKOUT

Wall-clock time depends on what else the machine does, CPU time hardly: both are told, and the ratios count. The other
checkout runs in this one's environments. Without byte code is how a `stepvec` started by hand ran before
docs/decisions/0107: `make` kept byte code where only `make` looked.
"""

from __future__ import annotations

import argparse
import os
import pty
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_pipeline.installation import ROOT
from testkit.photos import PHOTO_SIZE, picture
from testkit.tables import markdown_table, write_section

_BEGIN: Final = "from stepvec_cli.main import run; run()"
_LINKED: Final = (".venv", ".venv-lambda", ".venv-worker", "build/lambda-packages", "build/model")


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds: until the first byte was printed, until the end, and of CPU with all children."""

    first: float
    wall: float
    cpu: float


def took(checkout: Path, arguments: Sequence[str], environ: Mapping[str, str]) -> Took:
    """Run `stepvec` of a checkout on a terminal. Raises RuntimeError where it fails."""
    leader, follower = pty.openpty()
    before, start = _children_seconds(), time.perf_counter()
    process = subprocess.Popen(
        [str(ROOT / ".venv" / "bin" / "python"), "-c", _BEGIN, *arguments],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1", "TERM": "xterm", **environ},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    told, first = b"", 0.0
    # Linux says EIO where a terminal's last process is gone.
    with suppress(OSError):
        while part := os.read(leader, 65_536):
            first = first or time.perf_counter() - start
            told += part
    os.close(leader)
    if process.wait():
        raise RuntimeError(told.decode(errors="replace"))
    return Took(first, time.perf_counter() - start, _children_seconds() - before)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def prepare(other: Path) -> None:
    """Link this checkout's environments and model into the other one."""
    for name in _LINKED:
        target = other / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(ROOT / name)


def measure(other: Path, rounds: int) -> str:
    """The table, of the medians of `rounds`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = folder / "photo.jpg"
        photo.write_bytes(picture(1, size=PHOTO_SIZE))
        without = {"PYTHONPYCACHEPREFIX": str(folder / "no-byte-code")}
        cases: dict[str, list[str]] = {
            "`--help`": ["--help"],
            "`local run --help`": ["local", "run", "--help"],
            "`local run` of one photo": ["local", "run", str(photo), "--out", str(folder / "out")],
        }
        rows = []
        for case, arguments in cases.items():
            turns = [
                (
                    took(other, arguments, without),
                    took(other, arguments, {}),
                    took(ROOT, arguments, {}),
                )
                for _ in range(rounds)
            ]
            before, compiled, now = (_median(column) for column in zip(*turns, strict=True))
            for what in ("first", "wall", "cpu"):
                if what == "first" and "--help" in case:
                    continue
                old, middle, new = (getattr(one, what) for one in (before, compiled, now))
                label = {"first": "until something is on the screen", "wall": "whole", "cpu": "CPU"}[what]
                rows.append(
                    [f"{case}, {label}", f"{old:.2f}", f"{middle:.2f}", f"{new:.2f}",
                     f"{old / new:.1f}", f"{middle / new:.1f}"]
                )  # fmt: skip
    head = ["seconds", "before, by hand", "before, with byte code", "now", "ratio", "ratio with byte code"]
    return markdown_table(head, rows)


def _median(turns: Sequence[Took]) -> Took:
    return Took(*(statistics.median(getattr(turn, name) for turn in turns) for name in ("first", "wall", "cpu")))


def main() -> None:
    """Measure, print, and with --record write the table into docs/performance.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("other", type=Path, help="a checkout of another version, for which nothing was set up")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    other = given.other.resolve()
    prepare(other)
    table = measure(other, given.rounds)
    print(table)
    if given.record:
        write_section("starting", table)


if __name__ == "__main__":
    main()
