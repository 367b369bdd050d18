"""What the bench reads off a run: its steady part, the CPU and memory of a tree of processes, its checks."""

from __future__ import annotations

import base64
import functools
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.checks import WrongResultError, check_rows, check_vectors
from bench.figures import BenchOutcome, Contender, Figures, in_turns, steady_part, value_at
from bench.limits import Limit
from bench.worker_tables import efficiency_table, final_line, speed_table
from stepvec.runs.listing import ShardImage
from testkit.processes import ProcessUsage, run_measured

BURN = "import time\nwhile time.process_time() < {seconds}: pass"
TREE = (
    "import subprocess, sys, time; block = b'x' * 150_000_000\n"
    "child = subprocess.Popen([sys.executable, '-c', {burn!r}])\n"
    "child.wait(); print(len(block))"
)


def test_the_steady_part_leaves_out_start_and_end():
    # Nothing for 10 s (start-up, with CPU), then 10 images a second for 10 s, then a long tail.
    done = [(10 + second, 10) for second in range(1, 11)]
    cpu = [(0.0, 0.0), (10.0, 50.0), (20.0, 60.0), (40.0, 100.0)]
    steady = steady_part(done, cpu)
    assert (steady.images, steady.seconds) == (80, 8)
    assert steady.cpu_seconds == pytest.approx(8)
    assert steady.images_per_second == pytest.approx(10)
    assert steady.cpu_ms_per_image == pytest.approx(100)


def test_the_steady_part_of_almost_nothing_is_an_error():
    with pytest.raises(ValueError, match="too few"):
        steady_part([(1.0, 5)], [(0.0, 0.0), (2.0, 1.0)])
    with pytest.raises(ValueError, match="one moment"):
        steady_part([(1.0, 5), (1.0, 5)], [(0.0, 0.0), (2.0, 1.0)])


def test_values_between_samples_lie_on_the_line():
    samples = [(1.0, 10.0), (3.0, 20.0)]
    assert [value_at(samples, when) for when in (0, 1, 2, 3, 9)] == [10, 10, 15, 20, 20]


def test_cpu_and_memory_of_a_child_are_the_trees(tmp_path):
    start = time.monotonic()
    usage = run_measured([[sys.executable, "-c", TREE.format(burn=BURN.format(seconds=0.6))]], os.environ, tmp_path)
    assert usage.outputs == ("150000000\n",)
    assert 0.6 <= usage.cpu_seconds < 2
    assert usage.seconds <= time.monotonic() - start
    # The last sample may be a tenth of a second before the end.
    assert 0.4 < usage.cpu[-1][1] <= usage.cpu_seconds + 0.05
    assert usage.shared_peak_mb > 140
    assert usage.peak_mb > 140


def test_a_program_that_fails_is_an_error_with_its_last_words(tmp_path):
    with pytest.raises(RuntimeError, match="no such luck"):
        run_measured([[sys.executable, "-c", "raise SystemExit('no such luck')"]], os.environ, tmp_path)


def usage_of(cpu_seconds: float) -> ProcessUsage:
    return ProcessUsage(((0.0, 0.0), (10.0, cpu_seconds)), 10.0, cpu_seconds, 100.0, 120.0, ())


def test_contenders_take_turns_and_the_median_counts():
    order, cpu = [], iter([1.0, 2.0, 9.0, 2.0, 2.0, 2.0])

    def run(name: str, images: int) -> BenchOutcome:
        order.append((name, images))
        return BenchOutcome(images, [(float(second), images // 10) for second in range(10)], usage_of(next(cpu)))

    contenders = [Contender(name, functools.partial(run, name)) for name in ("a", "b")]
    found = in_turns(contenders, {"a": 100, "b": 50}, 3, lambda _: None)
    assert order == [("a", 100), ("b", 50)] * 3
    assert found["a"].whole_cpu_ms == pytest.approx(20)
    assert found["b"].images_per_second == pytest.approx(5)
    assert "| a | 10.0 | 2.00 |" in speed_table(found, "b", vcpus=2)


def test_the_final_line():
    def at(rate: float) -> Figures:
        return Figures(rate, 20.0, rate, 30.0, 0.1, 800.0, 900.0)

    found = {"worker": at(70), "sample": at(20), "loader": at(50), "eight": at(140)}
    labels = {"f32": "worker", "int8": "eight"}
    table = efficiency_table(found, {"worker": Limit(4, 14.4)}, {"worker": Limit(4.5, 15)})
    assert table.splitlines()[-1] == "| worker | 4.00 | 14.40 | 19.50 | 20.00 | 0.92 |"
    peers = {"one-at-a-time": "sample", "dataloader": "loader", "daft": "not run"}
    assert final_line(found, labels, {"worker": Limit(4, 14.4)}, peers) == (
        "worker/one-at-a-time f32 3.5 bf16 n/a int8 7.0 | worker/dataloader 1.4 | worker/daft n/a | efficiency 0.92 | "
        "rss_mb 900"
    )


def test_a_peers_share_of_the_limit_is_that_of_the_cheapest_float32():
    def at(cpu_ms: float) -> Figures:
        return Figures(10.0, cpu_ms, 10.0, 30.0, 0.1, 800.0, 900.0)

    limits = {"worker float32": Limit(4, 16), "other float32": Limit(4, 14), "worker int8": Limit(4, 4)}
    table = speed_table({"worker float32": at(20), "worker int8": at(10), "peer": at(36)}, "peer", 2, limits)
    shares = [line.split("|")[5].strip() for line in table.splitlines()[2:]]
    assert shares == ["1.00", "0.80", "0.50"]


IMAGES = [ShardImage(f"photos/0000/{name}.jpg", 1, "e", f"photos/0000/{name}.jpg") for name in ("a", "b")]


def row(image: ShardImage, vector: Sequence[float]) -> dict[str, dict[str, str]]:
    content = base64.b64encode(np.array(vector, "<f4").tobytes()).decode()
    return {
        "ETag": {"S": image.etag},
        "Model": {"S": "m"},
        "DataType": {"S": "float32"},
        "Vector": {"B": content},
    }


def test_a_row_that_is_missing_or_of_another_model_is_no_result():
    rows = {image.image_id: row(image, [1, 0]) for image in IMAGES}
    check_rows(rows, IMAGES, "m")
    with pytest.raises(WrongResultError, match="1 without a row"):
        check_rows({name: rows[name] for name in list(rows)[:1]}, IMAGES, "m")
    with pytest.raises(WrongResultError, match="2 without a row"):
        check_rows(rows, IMAGES, "another")
    with pytest.raises(WrongResultError, match="1 rows of nothing"):
        check_rows(rows, IMAGES[:1], "m")


def test_a_vector_that_is_not_the_slow_paths_is_no_result():
    expected = {"a.jpg": np.array([1, 0], np.float32), "b.jpg": np.array([0, 2], np.float32)}
    good = {image.image_id: row(image, vector) for image, vector in zip(IMAGES, ([3, 0], [0, 1]), strict=True)}
    check_vectors(good, expected)
    mixed_up = {image.image_id: row(image, vector) for image, vector in zip(IMAGES, ([0, 1], [1, 0]), strict=True)}
    with pytest.raises(WrongResultError, match="cosine"):
        check_vectors(mixed_up, expected)
    with pytest.raises(WrongResultError, match="No row"):
        check_vectors(good, {})


def test_the_tree_of_this_process_is_found():
    from testkit.processes import tree

    assert os.getpid() in tree(os.getpid())
    assert Path(f"/proc/{os.getpid()}").exists()
