"""`stepvec plan --images` and the counting of paths: without AWS."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from stepvec import codec
from stepvec.client.planning import count_images, planned_model
from stepvec.estimate.plan import Plan
from stepvec.runs.images import SuffixRule
from stepvec_cli.main import app
from stepvec_cli.views.plan import duration, headline
from tests.fakes import MemoryStore

INT8 = ("--architecture", "resnet18_v2", "--engine", "openvino", "--precision", "int8", "--vector-type", "int8")


def run(*arguments: str, settings: dict[str, Any] | None = None) -> tuple[int, str]:
    environment = {"STEPVEC_SETTINGS": json.dumps(settings or {}), "AWS_DEFAULT_REGION": ""}
    result = CliRunner().invoke(app, ["plan", *arguments], env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def made(*arguments: str, settings: dict[str, Any] | None = None) -> dict[str, Any]:
    code, output = run(*arguments, "--json", settings=settings)
    assert code == 0, output
    return dict(json.loads(output))


def test_a_number_of_images_is_planned_without_aws() -> None:
    plan = made("--images", "1000000", *INT8, "--vcpu-hour-usd", "0.02")
    assert (plan["images"], plan["bytes"], plan["shards"], plan["vcpus"]) == (1_000_000, 200_000_000_000, 200, 64)
    assert (plan["write_units_an_image"], plan["engine"], plan["precision"]) == (1, "openvino", "int8")
    assert plan["cost"]["total_usd"] == pytest.approx(sum(plan["cost"]["usd"].values()))


@pytest.mark.parametrize(("text", "images"), [("1e9", 1_000_000_000), ("2.5e6", 2_500_000), ("1_000", 1_000), ("0", 0)])
def test_a_number_of_images_may_be_written_as_people_write_it(text: str, images: int) -> None:
    assert made("--images", text, *INT8)["images"] == images


@pytest.mark.parametrize("text", ["-1", "many", "1.5", "1.5e0", "1e99", "1e13", "nan", "1e-3", ""])
def test_what_is_no_number_of_images_is_refused(text: str) -> None:
    code, output = run(f"--images={text}")
    assert code == 2
    assert "is not a number of images" in " ".join(output.split())


def test_the_settings_of_the_project_are_taken_and_what_is_said_replaces_them() -> None:
    settings = {"max_vcpus": 8, "shard_size": 100, "vector_type": "float16", "vcpu_hour_usd": 0.5, "spot": False}
    plan = made("--images", "2000", settings=settings)
    assert (plan["shards"], plan["jobs"], plan["vector_type"]) == (20, 8, "float16")
    assert "A vCPU-hour is $0.5, as you said." in plan["notes"]
    plan = made(
        "--images", "2000", "--max-vcpus", "4", "--shard-size", "500", "--vcpu-hour-usd", "0", settings=settings
    )
    assert (plan["shards"], plan["jobs"]) == (4, 4)
    # On demand is priced, so nothing is unknown.
    assert plan["cost"]["total_usd"] == plan["at_most_usd"]


def test_the_text_names_the_bottleneck_and_that_a_price_is_unknown() -> None:
    code, output = run("--images", "1000000", "--architecture", "resnet18_v2", "--image-kb", "100")
    assert code == 0
    words = " ".join(output.split())
    for part in (
        "Shards: 200, jobs at a time: 64",
        "mxnet float32, vectors as float32: 3 write units an image",
        "writes of a new table 1,333 <- bottleneck",
        "Not known: batch",
        "give --vcpu-hour-usd",
        "aws dynamodb update-table --table-name TABLE --warm-throughput",
    ):
        assert part in words


def test_the_text_leads_with_what_is_known_and_ends_with_what_is_not() -> None:
    code, output = run("--images", "100", "--architecture", "resnet18_v2")
    assert code == 0
    lines = output.splitlines()
    told = re.fullmatch(
        r"100 images, 0\.0 GB: at most \$0\.(\d{4}), ([\d.]+) s once instances run \((.+) until they do\)\.", lines[0]
    )
    assert told, lines[0]
    plan = made("--images", "100", "--architecture", "resnet18_v2")
    assert f"{plan['at_most_usd']:.4f}" == f"0.{told[1]}"
    assert float(told[2]) == pytest.approx(plan["total_seconds"] - plan["seconds"]["start"], abs=0.1)
    first_unknown = next(
        number for number, line in enumerate(lines) if "unknown" in line or "not known" in line.lower()
    )
    assert lines[first_unknown].startswith("Not known: batch")
    assert all(line.startswith("- ") for line in lines[first_unknown + 1 :])


def test_the_headline_says_what_there_is() -> None:
    def told(**changes: Any) -> str:
        return headline(replace(planned, **changes))

    arguments = ("--images", "1000000", "--architecture", "resnet18_v2", "--vcpu-hour-usd", "0.02")
    document = made(*arguments)
    del document["ignored_by_suffix"]
    planned = codec.from_document(Plan, document, where="plan")
    assert re.fullmatch(r"\$[\d.]+ \(at most \$[\d.]+\), [\d.]+ min once instances run \(.* until they do\)\.", told())
    assert told(at_most_usd=planned.cost.total_usd).startswith(f"${planned.cost.total_usd:,.2f}, ")
    unpriced = replace(planned.cost, total_usd="unknown")
    assert told(total_seconds="unknown").endswith("; the time is not known.")
    assert told(cost=unpriced, at_most_usd="unknown").endswith(" until they do); the cost is not known.")
    assert told(cost=unpriced, at_most_usd="unknown", total_seconds="unknown") == "neither cost nor time is known."


@pytest.mark.parametrize("arguments", [(), ("images", "--images", "3")])
def test_paths_or_a_number_one_of_them(arguments: tuple[str, ...]) -> None:
    code, output = run(*arguments)
    assert code == 2
    assert "Give prefixes, or --images" in " ".join(output.split())


def test_what_is_said_of_the_model_replaces_the_deployments() -> None:
    def name(**changes: Any) -> str:
        nothing: dict[str, Any] = {"architecture": None, "engine": None, "precision": None}
        return str(planned_model("resnet18_v2/a81db45fd7b7/sample-1", **{**nothing, **changes}))

    assert name() == "resnet18_v2/a81db45fd7b7/sample-1"
    assert name(engine="openvino", precision="int8") == "resnet18_v2/a81db45fd7b7/sample-1/openvino-int8-00000000"
    assert name(engine="openvino") == "resnet18_v2/a81db45fd7b7/sample-1/openvino-float32"
    assert name(architecture="efficientnet_lite0") == "efficientnet_lite0/000000000000/sample-1"


def test_images_of_paths_are_counted_by_the_length_of_their_keys() -> None:
    store = MemoryStore(page_size=2)
    for key in ("a/1.jpg", "a/2.png", "a/notes.txt", "a/ü.jpg", "b/1.jpg", "ab/1.jpg"):
        store.add_image("images", key, size=100)
    counts: list[int] = []
    workload = count_images(store, "images", ("a/", "b/"), counts.append)
    assert (workload.images, workload.bytes) == (4, 400)
    assert workload.key_bytes == {7: 3, 8: 1}
    assert counts == [2, 3, 4]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.0, "4.0 s"), (119.0, "119.0 s"), (120.0, "2.0 min"), (9_000.0, "2.5 h"), ("unknown", "unknown")],
)
def test_durations_are_told_in_the_unit_that_suits(seconds: float | str, text: str) -> None:
    assert duration(seconds) == text


def test_a_path_that_is_one_object_is_counted_as_that_object() -> None:
    store = MemoryStore()
    for key in ("a/1.jpg", "a/2.jpg", "/a/3.jpg"):
        store.add_image("b", key)
    assert count_images(store, "b", ["a/1.jpg/"], objects=["a/1.jpg/"]).images == 1
    assert count_images(store, "b", ["a/1.jpg/"]).images == 0
    assert count_images(store, "b", ["a/"], objects=["a/"]).images == 2
    assert count_images(store, "b", ["/a/"], objects=["/a/"]).images == 1


def test_suffixes_say_what_is_counted_and_a_named_object_is_counted_whatever_its_name() -> None:
    store = MemoryStore()
    for key in ("a/1.jpg", "a/2.raw", "a/3", "a/notes.txt", "a/._4.jpg", "one"):
        store.add_image("b", key)
    ignored: Counter[str] = Counter()
    assert count_images(store, "b", ["a/"], ignored=ignored, suffixes=SuffixRule(("raw",))).images == 2
    assert ignored == {"(none)": 1, "txt": 1, "(AppleDouble)": 1}
    assert count_images(store, "b", ["a/"], suffixes=SuffixRule(("*",))).images == 4
    assert count_images(store, "b", ["one/"], objects=["one/"]).images == 1
