"""What the generated hostile images (tools/corpus) may cost the worker, and what becomes of each."""

from __future__ import annotations

import os
import random
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from stepvec_worker.images import colours
from stepvec_worker.images.colours import to_rgb
from stepvec_worker.images.decoding import DecodeLimits, decode, silence_libtiff
from stepvec_worker.images.fetching import ImageFetcher
from stepvec_worker.images.jpeg_structure import MAX_SCANS, read_structure
from stepvec_worker.images.preprocessing import prepare
from stepvec_worker.images.rejection import ImageRejected

from resilience.corpus.bombs import bombs, talkative_tiff
from resilience.corpus.damage import mutate, seeds, truncations
from resilience.corpus.disguises import disguises
from resilience.corpus.encoders import EMBEDDED, HostileImage, encoded, scene
from stepvec.runs.listing import ShardImage
from stepvec.runs.outcome import FailureReason
from tests.worker.pictures import REPOSITORY

LIMITS = DecodeLimits(bytes=64 * 1024 * 1024, pixels=64_000_000)
MAX_SECONDS = 10.0
"""CPU time of one image. The largest that is taken needs 1.5 s on the machine of docs/reliability.md."""
MAX_MEGABYTES = 900
MUTATIONS = 120
"""Of each seed here; `make corpus` tries more."""


def outcome(data: bytes) -> str:
    try:
        prepare(data, LIMITS, "standard-1")
    except ImageRejected as rejected:
        return str(rejected.reason) if rejected.message else "no message"
    return EMBEDDED


def in_a_process_of_its_own(work: Callable[[], str]) -> tuple[str, float, float]:
    """What `work` returned, its CPU seconds and the megabytes it took; a crash fails the test."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (60, 61))
        before, start = _peak(), time.process_time()
        # Whatever happens, this copy of the test runner must not go on.
        try:
            answer = work()
            os.write(writer, f"{answer}|{time.process_time() - start}|{_peak() - before}".encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read().decode()
    status = os.waitpid(child, 0)[1]
    assert status == 0, f"it ended the process: signal or code {status}"
    answer, seconds, megabytes = said.split("|")
    return answer, float(seconds), float(megabytes)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize("make", [bombs, disguises, truncations])
def test_each_has_an_outcome_that_is_right_within_the_limits(make: Callable[[], list[HostileImage]]) -> None:
    problems = []
    for image in make():
        got, seconds, megabytes = in_a_process_of_its_own(lambda image=image: outcome(image.data))  # type: ignore[misc]
        if got not in image.outcomes or seconds > MAX_SECONDS or megabytes > MAX_MEGABYTES:
            problems.append((image.name, got, sorted(image.outcomes), round(seconds, 1), round(megabytes)))
    assert not problems


@pytest.mark.parametrize("number", range(len(seeds())))
def test_mutations_end_in_an_image_or_a_reason(number: int) -> None:
    whole, generator = seeds()[number], random.Random(number)

    def work() -> str:
        for _ in range(MUTATIONS):
            outcome(mutate(whole, generator))
        return "all"

    answer, seconds, megabytes = in_a_process_of_its_own(work)
    assert answer == "all"
    assert seconds < MAX_SECONDS
    assert megabytes < MAX_MEGABYTES


def test_mutations_are_the_same_for_the_same_seed() -> None:
    (whole, *_) = seeds()
    assert mutate(whole, random.Random(5)) == mutate(whole, random.Random(5)) != mutate(whole, random.Random(6))


def test_libtiff_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert silence_libtiff()
    assert decode(talkative_tiff(100), LIMITS).size == (8, 8)
    assert capfd.readouterr().err == ""


def jpeg_bomb(data: bytes) -> str | None:
    structure = read_structure(data)
    return structure.bomb if structure else None


def test_jpegs_of_usual_structure_are_no_bombs() -> None:
    for options in ({}, {"progressive": True}, {"progressive": True, "exif": b"Exif\0\0" + bytes(60_000)}):
        for mode in ("RGB", "L", "CMYK"):
            assert jpeg_bomb(encoded(scene().convert(mode), "JPEG", **options)) is None
    assert jpeg_bomb(encoded(scene(), "PNG")) is None


def test_as_many_scans_as_the_limit_are_decoded_and_one_more_is_not() -> None:
    whole = encoded(scene(), "JPEG", progressive=True)
    last = whole.rfind(b"\xff\xc4", 0, whole.rfind(b"\xff\xda"))
    more = MAX_SCANS - whole.count(b"\xff\xda")
    assert jpeg_bomb(whole[:-2] + whole[last:-2] * more + b"\xff\xd9") is None
    assert str(MAX_SCANS + 1) in (jpeg_bomb(whole[:-2] + whole[last:-2] * (more + 1) + b"\xff\xd9") or "")


@pytest.mark.parametrize("end", range(0, 700, 7))
def test_a_jpeg_that_breaks_off_anywhere_is_no_bomb(end: int) -> None:
    assert jpeg_bomb(encoded(scene(), "JPEG", progressive=True)[:end]) is None


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_more_than_8_bits_are_converted_in_bands_to_the_same_picture(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (31, 47))
    image = Image.fromarray(values.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))
    whole = np.asarray(to_rgb(image))
    monkeypatch.setattr(colours, "BAND_PIXELS", 100)
    assert (np.asarray(to_rgb(image)) == whole).all()
    assert (whole[:, :, 0] == np.rint(values * (255 / 65535))).all()


def test_16_bits_take_no_memory_beyond_the_picture() -> None:
    image = Image.new("I;16", (4_000, 4_000))  # 16 megapixels: 32 MB, and 64 MB in RGB
    _, _, megabytes = in_a_process_of_its_own(lambda: to_rgb(image).mode)
    assert megabytes < 200


class LyingBucket:
    """S3 with an object of 10 GB that a manifest says to be of 5 bytes."""

    closed = False

    def get_object(self, **request: object) -> dict[str, object]:
        return {"ContentLength": 10 * 1024**3, "Body": self}

    def read(self) -> bytes:
        raise AssertionError("10 GB were read into memory")

    def close(self) -> None:
        self.closed = True


def test_the_size_that_a_manifest_says_is_not_believed() -> None:
    bucket = LyingBucket()
    fetcher = ImageFetcher(bucket, "images", max_bytes=64 * 1024 * 1024)  # type: ignore[arg-type]
    with pytest.raises(ImageRejected) as caught:
        fetcher.fetch(ShardImage("a.jpg", 5, "etag", "a.jpg"))
    assert caught.value.reason is FailureReason.TOO_LARGE
    assert bucket.closed


DECODE_IN_THREADS = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import prepare
from resilience.corpus.encoders import png, zeros
from threading import Barrier, Lock

data, lock, all_here = png(4_000, 4_000, zeros(4_000 * 16_001), colour=6), Lock(), Barrier(8)

def work(_):
    all_here.wait()
    with lock:
        prepare(data, DecodeLimits(), "standard-1")

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with ThreadPoolExecutor(8) as pool:
    list(pool.map(work, range(16)))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_threads_that_decoded_large_images_keep_no_memory() -> None:
    """One image of 16 megapixels takes 200 MB; eight threads take it in turns."""
    dockerfile = (REPOSITORY / "worker_image" / "Dockerfile").read_text()
    (variables,) = re.findall(r"^ENV .*MALLOC_.*", dockerfile, re.MULTILINE)
    malloc = dict(re.findall(r"(MALLOC_\w+)=(\d+)", variables))
    assert set(malloc) == {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}
    result = subprocess.run(
        [sys.executable, "-c", DECODE_IN_THREADS],
        env=malloc | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY}/worker_image"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(result.stdout) < 350
