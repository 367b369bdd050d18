"""`python -m bench.arm STATE`: the worker on ARM: its tests, and a shard of ten photos, whose vectors must be x86-64's.

STATE is the folder of tools/arm/root.sh. Ends with one line, and with exit code 1 if a test fails, a photo has no row
or a vector is another. --record writes docs/arm.md.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.checks import MIN_COSINE, check_rows, min_cosine, row_vector
from bench.worker_run import WorkerSetup, listed_images, worker_process
from local_pipeline.installation import MODEL_DIRECTORY, ROOT
from stepvec.rows.model import Engine, ModelCard
from stepvec.weights.model_directory import read_model_card
from testkit.photos import SCIKIT_IMAGE
from testkit.processes import run_measured
from testkit.storage.client import running_storage
from testkit.tables import DOCS, markdown_table, write_section

TESTS: Final = (
    *("colours", "decoding", "fetching", "formats", "host", "index_writer", "jpeg", "messages"),
    *("orientation", "portable_vectors", "preprocessing", "resizing", "sample_geometry", "shard_queue", "sixteen_bits"),
    *("standard_geometry", "uniform"),
)
"""Of tests/worker: what the processor may change, by its instructions or its libraries. Not those that start and kill
many processes, which wait for less long than emulation takes, nor those of the other engines."""
CLOTHES: Final = 7
SCIKIT_IMAGES: Final = ("astronaut.png", "retina.jpg", "rocket.jpg")
"""Beside the demo's photos: another format, and two that are reduced while they are decoded."""
ENGINE: Final[Engine] = "onnxruntime"
REFERENCES: Final[tuple[Engine, ...]] = (ENGINE, "mxnet")
"""Engines whose vectors on this machine are compared with those of ENGINE on ARM."""
PATIENCE: Final = {"STEPVEC_DECODE_SECONDS": "600", "STEPVEC_BATCH_SIZE": str(CLOTHES + len(SCIKIT_IMAGES))}
"""Settings of the worker where it is emulated."""
_TEST_SECONDS: Final = 1200
_SUMMARY: Final = re.compile(r"(\d+) (passed|skipped|failed|error)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, what came of it, how long it took, and whether it is as it must be."""

    what: str
    result: str
    seconds: float
    is_right: bool = True


class ArmMachine:
    """The root in `state`, and how programs are run in it."""

    def __init__(self, state: Path) -> None:
        self._state = state.resolve()

    def command(self, *arguments: str) -> list[str]:
        """Its Python with `arguments`, as a command of this machine."""
        return [str(ROOT / "tools" / "arm" / "run.sh"), str(self._state), "/usr/bin/python3", *arguments]

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """`given`, with the modules that are there."""
        modules = (self._state / "test-packages", self._state / "packages", ROOT, ROOT / "worker_image")
        path = os.pathsep.join(map(str, modules))
        return {**given, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/tmp", "LC_ALL": "C.UTF-8"}  # noqa: S108

    def describe(self) -> Outcome:
        """What it is."""
        code = "from platform import *; print(machine(), 'glibc', libc_ver()[1], 'Python', python_version())"
        start = time.monotonic()
        told = subprocess.run(
            self.command("-c", code), cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.strip()
        return Outcome("the machine: its Python started", told, time.monotonic() - start, told.startswith("aarch64"))

    def test(self, names: Sequence[str]) -> Outcome:
        """Run files of tests/worker there; their output is shown as it comes."""
        files = [f"tests/worker/test_{name}.py" for name in names]
        command = self.command("-m", "pytest", "-p", "no:cacheprovider", f"--timeout={_TEST_SECONDS}", *files)
        given = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "STEPVEC_", "LD_"))}
        start, last = time.monotonic(), ""
        with subprocess.Popen(
            command, cwd=ROOT, env=self.environment(given), stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                last = line
        counts = {what: int(count) for count, what in _SUMMARY.findall(last)}
        told = ", ".join(f"{count} {what}" for what, count in counts.items()) or "nothing ran"
        is_right = process.returncode == 0 and counts.get("passed", 0) > 0
        return Outcome(f"tests of the worker ({len(names)} files)", told, time.monotonic() - start, is_right)


def shard_outcomes(machine: ArmMachine, photos: Path, card: ModelCard) -> list[Outcome]:
    """A shard of `photos` through the worker on ARM and here, and how alike their vectors are."""
    count = len(list(photos.iterdir()))
    rows: dict[str, Mapping[str, Any]] = {}
    outcomes = []
    with running_storage(photos) as storage:
        images = listed_images(storage, count)
        for engine, is_arm in ((ENGINE, True), *((engine, False) for engine in REFERENCES)):
            model = str(card.identity("standard-1", engine))
            setup = WorkerSetup(MODEL_DIRECTORY, model, vcpus=1, settings=PATIENCE if is_arm else {})
            command, environment = worker_process(storage, setup, images)
            if is_arm:
                command, environment = machine.command(*command[1:]), machine.environment(environment)
            storage.reset()
            usage = run_measured([command], environment, ROOT)
            found = storage.rows()
            check_rows(found, images, model)
            where = "ARM" if is_arm else "this machine"
            rows[f"{engine} on {where}"] = found
            outcomes.append(
                Outcome(f"a shard of {count} photos, {engine} on {where}", f"{len(found)} rows", usage.seconds)
            )
    of_arm, *references = rows.items()
    for label, reference in references:
        cosine = min_cosine(of_arm[1], {name.rpartition("/")[2]: row_vector(row) for name, row in reference.items()})
        told = f"cosine {cosine:.6f} or more"
        outcomes.append(Outcome(f"its vectors and those of {label}", told, 0.0, cosine >= MIN_COSINE))
    return outcomes


def gather(folder: Path) -> None:
    """Copy the ten photos into `folder`."""
    clothes = sorted((ROOT / "photos" / "wardrobe").glob("*/*.jpg"))
    for path in (*clothes[:: len(clothes) // CLOTHES][:CLOTHES], *(SCIKIT_IMAGE / name for name in SCIKIT_IMAGES)):
        shutil.copy(path, folder / f"{path.parent.name}-{path.name}")


def main() -> int:
    """Run everything and print the line; 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("state", type=Path, help="the folder of tools/arm/root.sh")
    parser.add_argument("--test", action="append", metavar="NAME", help="only tests/worker/test_NAME.py, and no shard")
    parser.add_argument("--record", action="store_true", help="write the table into docs/arm.md")
    options = parser.parse_args()
    machine = ArmMachine(options.state)
    if options.test:
        return 0 if machine.test(options.test).is_right else 1
    card = read_model_card(MODEL_DIRECTORY)
    with tempfile.TemporaryDirectory(prefix="stepvec-arm-") as folder:
        gather(Path(folder))
        outcomes = [machine.describe(), *shard_outcomes(machine, Path(folder), card), machine.test(TESTS)]
    rows = [[each.what, each.result, f"{each.seconds:.1f}" if each.seconds else ""] for each in outcomes]
    table = markdown_table([f"{card.architecture}, standard-1", "", "s"], rows)
    print(table)
    wrong = [each for each in outcomes if not each.is_right]
    if options.record and not wrong:
        write_section("arm", table, DOCS / "arm.md")
    print("; ".join(f"{each.what}: {each.result}" for each in wrong or outcomes))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
