"""The supervisor with real forked processes that crash, hang, are killed and stopped. Only the model is a stand-in."""

from __future__ import annotations

import gc
import io
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from stepvec_worker.processes.host import Termination, peak_memory_mb
from stepvec_worker.processes.messages import ProcessProgress
from stepvec_worker.processes.shard_context import ShardContext
from stepvec_worker.processes.supervisor import MAX_CRASHES_WITHOUT_SUCCESS, MAX_DEATHS_WITHOUT_PROGRESS, Supervisor
from stepvec_worker.settings import Settings
from stepvec_worker.storage.shard_file import open_shard

from stepvec.errors import AccessDeniedError, ConfigurationError, ProcessLostError, StorageError
from stepvec.runs.listing import ShardImage, dump_shard
from stepvec.runs.outcome import FailureReason
from tests.worker.folder_table import FolderEmbedder, FolderTable, images

pytestmark = [pytest.mark.timeout(60), pytest.mark.forks]


class Run:
    """One supervisor over `shard`; `on_progress` is called in it, between its other work."""

    def __init__(
        self,
        folder: Path,
        shard: Sequence[ShardImage] | bytes,
        *,
        processes: int = 1,
        run: str = "r",
        decoders: int = 1,
        attempt: int = 1,
        on_progress: Callable[[Run, ProcessProgress], None] = lambda run, progress: None,
        settings: dict[str, Any] | None = None,
        **embedding: Any,
    ) -> None:
        self.table = FolderTable(folder)
        self.termination = Termination()
        self.is_done: bool | None = None
        options: dict[str, Any] = {"batch_size": 8, "decode_seconds": 1.0, "stop_seconds": 10.0, **(settings or {})}
        body = shard if isinstance(shard, bytes) else dump_shard(shard)
        with open_shard(io.BytesIO(body), "shard") as shard_file:
            context = ShardContext(
                settings=Settings("images", "table", "model", **options),
                device="cpu",
                run=run,
                shard=0,
                reembed=False,
                shard_file=shard_file,
                decoders=decoders,
                supervisor=os.getpid(),
                attempt=attempt,
            )
            self.supervisor = Supervisor(
                context,
                FolderEmbedder(folder, **embedding),
                processes,
                self.termination,
                lambda progress: on_progress(self, progress),
            )
            self.is_done = self.supervisor.run()

    @property
    def reasons(self) -> dict[str, FailureReason]:
        failures = self.supervisor.tally.failures
        assert len({failure.key for failure in failures}) == len(failures)
        return {failure.key: failure.reason for failure in failures}


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    yield
    assert not multiprocessing.active_children()


def accounted(run: Run, shard: Sequence[ShardImage]) -> None:
    """Each image has one outcome, and each row is there."""
    tally = run.supervisor.tally
    assert tally.embedded + tally.unchanged + len(tally.failures) == len(shard)
    assert run.table.names() == {image.image_id for image in shard} - set(run.reasons)


def test_images_of_one_colour_are_counted_also_where_processes_die(tmp_path: Path) -> None:
    run = Run(tmp_path, images(430, blank=range(0, 430, 5), crash=[100]), processes=2)
    assert run.supervisor.tally.processes_lost == 2
    assert run.supervisor.tally.uniform == set(range(0, 430, 5)) - {100}


def test_garbage_is_collected_but_not_while_a_process_loads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    embed = FolderEmbedder._embed

    def note(when: str) -> None:
        (tmp_path / f".{when}-{gc.isenabled()}-{gc.get_freeze_count() > 0}").touch()

    def noting(embedder: FolderEmbedder, pixels: Sequence[Any]) -> Any:
        note("work")
        return embed(embedder, pixels)

    monkeypatch.setattr(FolderEmbedder, "_embed", noting)
    gc.disable()
    try:
        Run(tmp_path, images(10), at_load=lambda: note("load"))
        assert gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
    noted = {path.name for path in tmp_path.iterdir() if path.name.startswith((".load", ".work"))}
    assert noted == {".load-False-True", ".work-True-True"}


@pytest.mark.parametrize("processes", [1, 3])
def test_each_image_of_a_shard_has_one_outcome(tmp_path: Path, processes: int) -> None:
    shard = images(430, bad=range(0, 430, 7))
    run = Run(tmp_path, shard, processes=processes)
    assert run.is_done
    accounted(run, shard)
    assert set(run.reasons.values()) == {FailureReason.TRUNCATED}
    assert len(run.table.writes()) == run.supervisor.tally.embedded
    assert (run.supervisor.tally.running, run.supervisor.tally.processes) == ("fake float32", processes)
    assert run.supervisor.progress == ProcessProgress(430 - 62, 0, 62)
    usage = run.supervisor.usage
    assert usage.downloaded_bytes == sum(len(image.key) for image in shard if image.key.endswith("good"))
    assert usage.write_units == 3.0 * processes
    # Each process begins as large as the one that forked it, which here is pytest.
    forked = peak_memory_mb()
    assert 20 * (processes + 1) < usage.peak_memory_mb < (forked + 50) * (processes + 1)


def test_a_small_shard_starts_no_more_processes_than_it_needs(tmp_path: Path) -> None:
    assert Run(tmp_path, images(30), processes=8).supervisor.tally.processes == 2
    empty = Run(tmp_path, [], processes=8)
    assert empty.is_done
    assert empty.supervisor.tally.processes == 0


def test_a_second_run_finds_all_unchanged_and_a_second_attempt_embedded(tmp_path: Path) -> None:
    shard = images(150)
    Run(tmp_path, shard[:60])
    attempt = Run(tmp_path, shard, attempt=2)
    assert (attempt.supervisor.tally.embedded, attempt.supervisor.tally.unchanged) == (150, 0)
    assert len(attempt.table.writes()) == 150
    other = Run(tmp_path, shard, run="other")
    assert (other.supervisor.tally.embedded, other.supervisor.tally.unchanged) == (0, 150)


@pytest.mark.parametrize(("attempt", "again"), [(1, 100), (2, 0)])
def test_a_second_attempt_looks_up_all_its_lines_and_a_first_one_some(tmp_path: Path, attempt: int, again: int) -> None:
    shard = images(430)
    Run(tmp_path, shard[200:300])
    run = Run(tmp_path, shard, attempt=attempt)
    accounted(run, shard)
    assert len(run.table.writes()) == 430 + again


def test_an_image_that_crashes_its_decoder_costs_itself_alone(tmp_path: Path) -> None:
    shard = images(250, crash=[5, 120, 249], bad=[6])
    run = Run(tmp_path, shard, processes=2)
    assert run.is_done
    accounted(run, shard)
    crashed = {name for name, reason in run.reasons.items() if reason is FailureReason.DECODER_CRASHED}
    assert crashed == {"5-crash", "120-crash", "249-crash"}
    assert all("SIGSEGV" in failure.message for failure in run.supervisor.tally.failures if failure.key in crashed)
    assert run.supervisor.tally.processes_lost == 6


def test_a_crash_that_does_not_come_again_costs_nothing(tmp_path: Path) -> None:
    shard = images(120, once=[3, 4, 90])
    run = Run(tmp_path, shard)
    assert run.is_done
    assert run.reasons == {}
    accounted(run, shard)
    assert run.supervisor.tally.processes_lost == 3


def test_an_image_that_is_never_decoded_is_timed_out(tmp_path: Path) -> None:
    shard = images(60, hang=[10])
    run = Run(tmp_path, shard, settings={"decode_seconds": 0.5})
    assert run.is_done
    accounted(run, shard)
    assert run.reasons == {"10-hang": FailureReason.TIMED_OUT}
    assert "longer than 0.5 s" in run.supervisor.tally.failures[0].message


def test_with_several_decoders_only_the_guilty_image_is_blamed(tmp_path: Path) -> None:
    shard = images(60, crash=[20], hang=[40])
    run = Run(tmp_path, shard, decoders=3, decode_seconds=0.02, settings={"decode_seconds": 1.0})
    assert run.is_done
    accounted(run, shard)
    assert run.reasons == {"20-crash": FailureReason.DECODER_CRASHED, "40-hang": FailureReason.TIMED_OUT}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_processes_killed_from_outside_at_random_moments_lose_no_image(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    shard = images(400, bad=[11, 222])
    next_kill = [10]

    def kill_some(run: Run, progress: ProcessProgress) -> None:
        # More than half of the time something is in decode, and it must not be blamed. What has written a batch is
        # past what its predecessor left in quarantine: killed twice in decode of one image it is rightly blamed.
        if progress.embedded < next_kill[0]:
            return
        writers = run.table.writers()
        living = [process for process in multiprocessing.active_children() if writers[process.pid or 0] > 24]
        if living:
            next_kill[0] = progress.embedded + chance.randint(5, 80)
            time.sleep(chance.uniform(0, 0.02))
            chance.choice(living).kill()

    run = Run(tmp_path, shard, processes=2, on_progress=kill_some, decode_seconds=0.002, embed_seconds=0.005)
    assert run.is_done
    accounted(run, shard)
    assert set(run.reasons.values()) == {FailureReason.TRUNCATED}
    assert run.supervisor.tally.processes_lost >= 2


def test_processes_that_die_without_progress_end_the_worker(tmp_path: Path) -> None:
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ProcessLostError, match="SIGKILL"):
        Run(tmp_path, images(10), at_load=die)
    assert MAX_DEATHS_WITHOUT_PROGRESS == 3


def test_a_worker_told_to_stop_stores_what_is_begun_and_the_next_attempt_does_the_rest(tmp_path: Path) -> None:
    shard = images(2000)
    stopped: list[ProcessProgress] = []

    def stop(run: Run, progress: ProcessProgress) -> None:
        if progress.embedded > 50 and not stopped:
            stopped.append(progress)
            run.termination.ask()

    run = Run(tmp_path, shard, processes=2, on_progress=stop, embed_seconds=0.01)
    assert run.is_done is False
    stored = len(run.table.names())
    assert 50 < stored < 1500
    assert stored == len(run.table.writes())
    again = Run(tmp_path, shard, attempt=2)
    assert again.is_done
    accounted(again, shard)
    assert len(again.table.writes()) == 2000


def test_a_process_that_does_not_stop_is_killed_in_time(tmp_path: Path) -> None:
    def stop(run: Run, progress: ProcessProgress) -> None:
        run.termination.ask()

    start = time.monotonic()
    settings = {"decode_seconds": 100.0, "stop_seconds": 0.5}
    assert Run(tmp_path, images(30, hang=[0]), on_progress=stop, settings=settings).is_done is False
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("kind", [StorageError, AccessDeniedError, ConfigurationError])
def test_an_error_of_the_machine_is_the_workers_with_its_type(tmp_path: Path, kind: type[Exception]) -> None:
    shard = images(300, **{kind.__name__: [250]})
    with pytest.raises(kind, match="something is away") as caught:
        Run(tmp_path, shard, processes=2, embed_seconds=0.01)
    assert type(caught.value) is kind
    # The other process, and this one too, stored what they had embedded: each began at another end of the shard.
    numbers = {int(name.partition("-")[0]) for name in FolderTable(tmp_path).names()}
    assert len(numbers) > 20
    assert min(numbers) < 100 < max(numbers)


def test_a_bug_in_a_process_is_no_storage_error(tmp_path: Path) -> None:
    def fail() -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(RuntimeError, match="ZeroDivisionError: a bug"):
        Run(tmp_path, images(30), at_load=fail)


@pytest.mark.parametrize(
    ("kind", "reason", "message"),
    [
        ("panic", FailureReason.PROCESS_CRASHED, "Fetching it ended a process, twice (Panic: request valid"),
        ("lost", FailureReason.PROCESS_CRASHED, "Fetching it ended a process, twice (SIGSEGV)"),
        ("bug", FailureReason.DECODER_CRASHED, "Decoding it ended a process, twice (ZeroDivisionError: a bug)"),
    ],
)
def test_whatever_ends_a_process_costs_the_image_in_its_hands(
    tmp_path: Path, kind: str, reason: FailureReason, message: str
) -> None:
    shard = images(150, **{kind: [0, 70, 149]})
    run = Run(tmp_path, shard, processes=2)
    assert run.is_done
    accounted(run, shard)
    assert run.reasons == {f"{number}-{kind}": reason for number in (0, 70, 149)}
    assert all(failure.message.startswith(message) for failure in run.supervisor.tally.failures)


def test_an_image_that_ends_its_process_when_it_is_embedded_is_found_in_its_batch(tmp_path: Path) -> None:
    shard = images(60)
    run = Run(tmp_path, shard, bad_to_embed=[13, 55])
    assert run.is_done
    accounted(run, shard)
    assert run.reasons == dict.fromkeys(["13-good", "55-good"], FailureReason.PROCESS_CRASHED)
    assert {failure.message for failure in run.supervisor.tally.failures} == {
        "Embedding it ended a process, twice (SIGSEGV)."
    }


def test_a_row_that_cannot_be_written_costs_its_image(tmp_path: Path) -> None:
    shard = images(60)
    run = Run(tmp_path, shard, bad_to_store=[31])
    assert run.is_done
    accounted(run, shard)
    assert run.reasons == {"31-good": FailureReason.PROCESS_CRASHED}
    assert "Storing it ended a process, twice (UnicodeEncodeError" in run.supervisor.tally.failures[0].message


def test_where_every_image_ends_its_process_the_worker_gives_up(tmp_path: Path) -> None:
    count = MAX_CRASHES_WITHOUT_SUCCESS
    with pytest.raises(ProcessLostError, match=f"Each of the first {count} images ended its process"):
        Run(tmp_path, images(200, panic=range(200)), processes=2)
    few = Run(tmp_path, images(5, panic=range(5)))
    assert set(few.reasons.values()) == {FailureReason.PROCESS_CRASHED}


def test_where_s3_refuses_each_of_the_first_hundred_images_the_worker_stops_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(AccessDeniedError, match=r"each of the first \d+ images. S3 refuses it \(InvalidRequest"):
        Run(tmp_path, images(2_000, refused=range(2_000)), processes=2)


@pytest.mark.parametrize(("count", "readable"), [(60, set()), (600, set(range(0, 600, 20))), (600, {0})])
def test_images_that_s3_refuses_are_failures_where_it_gives_others(
    tmp_path: Path, count: int, readable: set[int]
) -> None:
    run = Run(tmp_path, images(count, refused=set(range(count)) - readable))
    assert run.is_done
    assert len(run.reasons) == count - len(readable)
    assert set(run.reasons.values()) == {FailureReason.UNREADABLE}


SUPERVISE = """
import sys
from pathlib import Path
from tests.worker.folder_table import images
from tests.worker.test_supervisor import Run
Run(Path(sys.argv[1]), images(400, hang=[50, 150]), processes=2, settings={"decode_seconds": 100.0})
"""


def supervisor_process(folder: Path) -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[2]
    # pytest, which the module above imports, is laid over the worker's environment by this variable.
    laid_over = os.environ.get("PYTHONPATH", "")
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'worker_image'}:{laid_over}"}
    return subprocess.Popen([sys.executable, "-c", SUPERVISE, str(folder)], env=environment)


def test_embedding_processes_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    # Both hang in a decoder by then, and would notice nothing by themselves.
    supervisor = supervisor_process(tmp_path)
    try:
        end = time.monotonic() + 30
        while not (tmp_path / ".log").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text().split()
        assert len(children) == 2
    finally:
        supervisor.kill()
        supervisor.wait()
    end = time.monotonic() + 5
    while any(Path(f"/proc/{pid}/exe").exists() for pid in children):
        assert time.monotonic() < end, "they outlive their supervisor"
        time.sleep(0.02)
    stored = len(FolderTable(tmp_path).names())
    time.sleep(0.2)
    assert len(FolderTable(tmp_path).names()) == stored


def test_the_supervisor_has_no_threads_and_none_of_the_heavy_libraries() -> None:
    code = """
import sys, threading
import stepvec_worker.__main__, stepvec_worker.worker
assert threading.active_count() == 1
print(sorted({"mxnet", "numpy", "PIL", "openvino"} & set(sys.modules)))
"""
    root = Path(__file__).resolve().parents[2]
    # pytest, which the module above imports, is laid over the worker's environment by this variable.
    laid_over = os.environ.get("PYTHONPATH", "")
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'worker_image'}:{laid_over}"}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"
