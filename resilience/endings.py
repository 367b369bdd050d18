"""Commands ended at random moments in every way that a person or a machine ends them: nothing of them may be left.

    python -m resilience.endings [--count 30] [--seed N] [--record]

Each ending has a folder for temporary files and one for state of its own, so whatever stays in them, or runs with them
in its environment, was left behind. Ends with one line, and with exit code 1 if anything is left.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from local_pipeline.installation import ROOT
from resilience.terminal import Terminal
from stepvec.client.local_aws import STATE_VARIABLE, all_up
from testkit.photos import small_photos
from testkit.tables import DOCS, markdown_table, write_section

COUNT: Final = 30
DEFAULT_SEED: Final = 12
GONE_SECONDS: Final = 10.0
"""For what SIGKILL leaves: nobody but the keeper can clear up then."""
_STEPVEC: Final = ROOT / ".venv" / "bin" / "stepvec"
_WAIT_SECONDS: Final = 400.0
_DOUBLE_SECONDS: Final = 0.3
"""From one Ctrl-C to the next, at most."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a command is ended: signals, and the exit code that a shell sees."""

    name: str
    numbers: tuple[int, ...]
    exit_code: int
    closes_terminal: bool = False


WAYS: Final = (
    Way("Ctrl-C", (signal.SIGINT,), 130),
    Way("Ctrl-C twice", (signal.SIGINT, signal.SIGINT), 130),
    Way("SIGTERM", (signal.SIGTERM,), 143),
    Way("terminal closed", (), 129, closes_terminal=True),
    Way("kill -9", (signal.SIGKILL,), 137),
)
_ATTEMPTS: Final = 5
COMMANDS: Final = ("local run", "local up", "run --wait")


@dataclass(frozen=True, slots=True)
class Ending:
    """What is done: `share` is the moment, as a share of the time that the command takes undisturbed."""

    command: str
    way: Way
    share: float


@dataclass(slots=True)
class Ended:
    """What came of an ending. `seconds` is from signal to exit, `gone_seconds` from there until nothing was left."""

    ending: Ending
    at_seconds: float
    seconds: float
    exit_code: int
    gone_seconds: float
    left: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What is not as it must be."""
        found = list(self.left)
        if self.exit_code != self.ending.way.exit_code:
            found.append(f"exit code {self.exit_code}")
        if self.gone_seconds and self.ending.way.exit_code != 128 + signal.SIGKILL:
            found.append(f"not all was gone at the exit, but {self.gone_seconds:.1f} s later")
        return found


def main() -> None:
    """End commands, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT, help="how many endings")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of the moments")
    parser.add_argument("--record", action="store_true", help="write the table into docs/reliability.md")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="endings-") as folder:
        for result in end_all(draw(options.count, options.seed), Path(folder)):
            results.append(result)
            told = "; ".join(result.problems) or "nothing left"
            ending = result.ending
            print(
                f"{ending.command}, {ending.way.name} after {result.at_seconds:.1f} s: exit code {result.exit_code} "
                f"{result.seconds:.2f} s later, {told}",
                flush=True,
            )
    table, line = table_of(results), verdict(results)
    print(table)
    if options.record:
        write_section("endings", f"{line} (`make endings`, seed {options.seed}).\n\n{table}", DOCS / "reliability.md")
    print(f"seed {options.seed}\n{line}")
    sys.exit(1 if any(result.problems for result in results) else 0)


def draw(count: int, seed: int) -> list[Ending]:
    """`count` endings at random moments, each command and each way about as often as the others."""
    generator = random.Random(seed)
    kinds = [(command, way) for command in COMMANDS for way in WAYS]
    drawn = [kinds[number % len(kinds)] for number in range(count)] if count >= len(kinds) else []
    drawn = drawn or generator.sample(kinds, count)
    return [Ending(command, way, generator.uniform(0.02, 1.0)) for command, way in drawn]


def end_all(endings: Sequence[Ending], folder: Path) -> Iterator[Ended]:
    """Do them one after the other; the local AWS of those that watch a run lives as long as all of them."""
    photos = folder / "photos"
    photos.mkdir()
    for number, data in enumerate(small_photos(4, DEFAULT_SEED)):
        (photos / f"{number}.jpg").write_bytes(data)
    arguments = {
        "local run": ["local", "run", str(photos), "--out", str(folder / "out")],
        "local up": ["local", "up"],
    }
    lasts: dict[str, float] = {}
    if any(ending.command in arguments for ending in endings):
        lasts["local run"] = lasts["local up"] = _seconds_undisturbed(arguments["local run"], folder)
    with _watched_runs(folder, any(ending.command == "run --wait" for ending in endings)) as environment:
        for number, ending in enumerate(endings):
            if ending.command == "run --wait":
                run = ["run", "images", "--wait", "--reembed"]
                variables = environment
                if ending.command not in lasts:
                    lasts[ending.command] = _seconds_undisturbed(run, folder, environment)
            else:
                run, variables = arguments[ending.command], {}
            place = folder / f"ending-{number}"
            yield _end_in_time(ending, run, place, lasts[ending.command] * ending.share, variables)


def _end_in_time(
    ending: Ending, arguments: Sequence[str], place: Path, at_seconds: float, variables: dict[str, str]
) -> Ended:
    """End the command, earlier if need be: it may be done before its moment, where the machine is less busy by then."""
    for attempt in range(_ATTEMPTS):
        ended = end(ending, arguments, place / str(attempt), at_seconds * 0.7**attempt, variables)
        if ended is not None:
            return ended
    raise RuntimeError(f"{ending.command} was done {_ATTEMPTS} times before it could be ended")


def end(
    ending: Ending, arguments: Sequence[str], place: Path, at_seconds: float, variables: dict[str, str]
) -> Ended | None:
    """Start the command in a terminal of its own, end it after `at_seconds`, and look for what is left of it.

    None if it was done by then, and well.
    """
    temporary, state = place / "tmp", place / "state"
    for folder in (temporary, state):
        folder.mkdir(parents=True)
    environment = {**_environment(place), **variables}
    with Terminal([str(_STEPVEC), *arguments], environment, place) as terminal:
        terminal.wait(at_seconds)
        ports = _listening(place)
        start = time.monotonic()
        if ending.way.closes_terminal:
            terminal.close()
        for position, number in enumerate(ending.way.numbers):
            if position:
                terminal.wait(random.Random(at_seconds).uniform(0, _DOUBLE_SECONDS))
            terminal.signal(number)
        code = terminal.wait(_WAIT_SECONDS)
        if code == 0:
            return None
        seconds = time.monotonic() - start
        gone, left = _left(place, ports)
        if code is None:
            left.append("it did not end")
        elif "Traceback" in terminal.output:
            left.append(f"a traceback: {terminal.output[-400:]}")
    return Ended(ending, at_seconds, seconds, -1 if code is None else code, gone, left)


def _left(place: Path, ports: set[int]) -> tuple[float, list[str]]:
    start = time.monotonic()
    gone = 0.0
    while True:
        # Whoever looks for a local AWS sweeps what is left of one that was killed.
        all_up({STATE_VARIABLE: str(place / "state")})
        left = [
            *(f"process {process.pid}: {_words(process)}" for process in _processes(place)),
            *(f"port {port}" for port in ports if _answers(port)),
            *(str(path.relative_to(place)) for name in ("tmp", "state") for path in (place / name).iterdir()),
        ]
        if not left or time.monotonic() - start > GONE_SECONDS:
            return gone, left
        time.sleep(0.05)
        gone = time.monotonic() - start


def _processes(place: Path) -> list[psutil.Process]:
    """Those with a path in `place` in their environment: the command's, or a workspace's."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and f"{place}{os.sep}" in "\n".join(process.environ().values()):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:120]
    except psutil.Error:
        return "gone by now"


def _listening(place: Path) -> set[int]:
    ports = set()
    for process in _processes(place):
        try:
            ports |= {each.laddr.port for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
        except psutil.Error:
            continue
    return ports


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _environment(place: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "STEPVEC_"))}
    return {**kept, "TMPDIR": str(place / "tmp"), STATE_VARIABLE: str(place / "state"), "TERM": "xterm"}


def _seconds_undisturbed(arguments: Sequence[str], folder: Path, variables: dict[str, str] | None = None) -> float:
    start = time.monotonic()
    subprocess.run(
        [_STEPVEC, *arguments],
        env={**_environment(folder), **(variables or {})} | {"TMPDIR": str(folder)},
        check=True,
        capture_output=True,
        timeout=_WAIT_SECONDS,
    )
    return time.monotonic() - start


@contextmanager
def _watched_runs(folder: Path, is_needed: bool) -> Iterator[dict[str, str]]:
    """The variables of a local AWS with photos in it, if it is needed."""
    if not is_needed:
        yield {}
        return
    place = folder / "watched"
    (place / "tmp").mkdir(parents=True)
    with (place / "env.sh").open("w+") as output:
        process = subprocess.Popen([_STEPVEC, "local", "up"], env=_environment(place), stdout=output)
        try:
            end = time.monotonic() + _WAIT_SECONDS
            while "STEPVEC_STATE_MACHINE_ARN" not in (text := Path(output.name).read_text()):
                if time.monotonic() > end or process.poll() is not None:
                    raise RuntimeError("the local AWS of the watched runs did not start")
                time.sleep(0.1)
            lines = [line.removeprefix("export ") for line in text.splitlines() if line.startswith("export ")]
            variables = dict(line.split("=", 1) for line in lines)
            _upload(variables, folder / "photos")
            yield variables
        finally:
            process.terminate()
            process.wait(_WAIT_SECONDS)


def _upload(variables: dict[str, str], photos: Path) -> None:
    target = f"s3://{variables['STEPVEC_IMAGE_BUCKET']}/images/"
    command = [str(ROOT / ".venv" / "bin" / "aws"), "s3", "cp", "--recursive", "--quiet", str(photos), target]
    subprocess.run(command, env={**os.environ, **variables}, check=True, timeout=_WAIT_SECONDS)


def table_of(results: Sequence[Ended]) -> str:
    """One row for each command and way."""
    rows = []
    for command in COMMANDS:
        for way in WAYS:
            some = [each for each in results if (each.ending.command, each.ending.way) == (command, way)]
            if some:
                moments = ", ".join(f"{each.ending.share:.0%}" for each in some)
                left = "; ".join(problem for each in some for problem in each.problems) or "nothing"
                gone = max(each.seconds + each.gone_seconds for each in some)
                rows.append([command, way.name, moments, str(way.exit_code), f"{gone:.1f} s", left])
    head = ["command", "ended by", "at (of its whole time)", "exit code", "all gone after, at most", "left"]
    return markdown_table(head, rows)


def verdict(results: Sequence[Ended]) -> str:
    """The line that ends it."""
    wrong = sum(bool(result.problems) for result in results)
    return f"{len(results)} random endings, {f'something left or wrong after {wrong}' if wrong else 'nothing left'}"


if __name__ == "__main__":
    main()
