"""Bad images lose no good one: each has its own reason, and the run says so."""

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stepvec.client.runs import Run
from stepvec.rows.vectors import decode_vector
from tests.local.conftest import Finished, Pipeline, photo
from tests.local.test_client import stepvec


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def opened(seed: int) -> Image.Image:
    return Image.open(io.BytesIO(photo(seed))).convert("RGB")


def exif_rotated(seed: int) -> bytes:
    """The photo stored turned, with the orientation that says how to turn it back."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(opened(seed).transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)


GOOD: dict[str, Callable[[], bytes]] = {
    "cmyk.jpg": lambda: encoded(opened(1).convert("CMYK"), "JPEG"),
    "sixteen-bit.png": lambda: encoded(
        Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16), "PNG"
    ),
    "animated.gif": lambda: encoded(opened(2), "GIF", save_all=True, append_images=[opened(3)]),
    "rotated.jpg": lambda: exif_rotated(4),
    "palette.png": lambda: encoded(opened(5).quantize(16), "PNG"),
    "plain.webp": lambda: encoded(opened(6), "WEBP"),
    "upright.jpg": lambda: encoded(opened(4), "JPEG", quality=95),
}
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "truncated.jpg": (lambda: photo(7, size=(400, 300), quality=95)[:2000], "Truncated"),
    "text.jpg": (lambda: b"I am a text, whatever my name says.", "NotAnImage"),
    "empty.jpg": (lambda: b"", "Empty"),
}


@pytest.fixture(scope="module")
def folder(pipeline: Pipeline) -> str:
    folder = pipeline.folder()
    for name, make in GOOD.items():
        pipeline.put(f"{folder}/{name}", make())
    for name, (make_bad, _) in BAD.items():
        pipeline.put(f"{folder}/{name}", make_bad())
    return folder


@pytest.fixture(scope="module")
def run(pipeline: Pipeline, folder: str) -> Finished:
    return pipeline.run({"Paths": [folder]})


def test_the_good_are_embedded_and_each_bad_one_has_its_reason(run: Finished, folder: str) -> None:
    assert run.counts() == {"embedded": len(GOOD), "failed": len(BAD)}
    assert run.report.found == len(GOOD)
    reasons = {failure["key"].removeprefix(f"{folder}/"): failure["reason"] for failure in run.failures}
    assert reasons == {name: reason for name, (_, reason) in BAD.items()}


def test_the_run_fails_and_says_why(run: Finished) -> None:
    assert (run.status, run.ended.error) == ("FAILED", "Incomplete")
    assert "3 images failed (Empty 1, NotAnImage 1, Truncated 1) and MaxFailures is 0" in run.ended.cause


def test_max_failures_allows_them(pipeline: Pipeline, run: Finished, folder: str) -> None:
    del run
    tried_again = {"Paths": [folder], "RetryFailures": True}
    allowed = pipeline.run(tried_again | {"MaxFailures": 3})
    assert allowed.status == "SUCCEEDED"
    assert allowed.counts() == {"unchanged": len(GOOD), "failed": len(BAD)}
    assert pipeline.run(tried_again | {"MaxFailures": 2}).status == "FAILED"


def test_what_failed_before_is_known_and_fails_no_run(pipeline: Pipeline, run: Finished, folder: str) -> None:
    del run
    again = pipeline.run({"Paths": [folder]})
    assert again.status == "SUCCEEDED"
    assert again.counts() == {"unchanged": len(GOOD), "failed_before": len(BAD)}
    assert all(failure["failed_before"] for failure in again.failures)


def test_images_of_one_colour_are_embedded_counted_and_named(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    nearly = Image.fromarray(np.random.default_rng(1).integers(250, 256, (300, 400, 3), dtype=np.uint8))
    pipeline.put(f"{folder}/white.png", encoded(Image.new("RGB", (640, 480), "white"), "PNG"))
    pipeline.put(f"{folder}/lens-cap.jpg", encoded(Image.new("RGB", (2_000, 1_500), (7, 6, 5)), "JPEG"))
    pipeline.put(f"{folder}/nearly-white.jpg", encoded(nearly, "JPEG", quality=95))
    pipeline.put(f"{folder}/photo.jpg", photo(1))
    run = pipeline.run({"Paths": [folder]})
    assert (run.status, run.counts()) == ("SUCCEEDED", {"embedded": 4})
    assert run.report.uniform == 2
    assert sorted(run.report.uniform_sample) == [f"{folder}/lens-cap.jpg", f"{folder}/white.png"]
    assert "found 4, uniform 2." in run.report.message
    arn = Run(pipeline.deployment, run.report.run).arn
    output = json.loads(pipeline.cloud.client("stepfunctions").describe_execution(executionArn=arn)["output"])
    assert output["uniform"] == 2
    printed = stepvec(pipeline, "report", run.report.run).stdout
    assert "Uniform: 2 embedded images have one colour, and say nothing: " in printed
    assert f"{folder}/white.png" in printed
    # Embedded by an earlier run, they are not fetched again, and so not looked at.
    again = pipeline.run({"Paths": [folder]})
    assert (again.counts(), again.report.uniform) == ({"unchanged": 4}, 0)
    assert "uniform" not in again.report.message


def test_rotated_by_exif_is_as_upright(pipeline: Pipeline, run: Finished, folder: str) -> None:
    del run
    rotated, upright = (decode_vector(pipeline.row(f"{folder}/{name}.jpg")) for name in ("rotated", "upright"))
    assert float(rotated @ upright / np.linalg.norm(rotated) / np.linalg.norm(upright)) >= 0.98


def test_an_object_overwritten_after_it_was_listed_is_changed_and_the_next_run_embeds_it(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    work = pipeline.deployment.work_bucket
    pipeline.put(f"{folder}/1.jpg", photo(1))
    listed = json.dumps({"key": f"{folder}/1.jpg", "size": 5, "etag": "0123456789abcdef"})
    pipeline.s3.put_object(Bucket=work, Key=f"{folder}.jsonl", Body=listed.encode())
    run = pipeline.run({"Manifest": f"s3://{work}/{folder}.jsonl"})
    assert [failure["reason"] for failure in run.failures] == ["Changed"]
    assert run.status == "FAILED"
    assert pipeline.run({"Paths": [folder]}).counts() == {"embedded": 1}
