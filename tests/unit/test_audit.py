"""The audit's comparison, on streams made here."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from lambdas.list_images.sources import PrefixSource
from stepvec.audit.compare import (
    Finding,
    FindingKind,
    MatchedRow,
    Sample,
    compare,
    compare_vectors,
    cosine,
    min_cosine,
)
from stepvec.audit.reading import Reading, list_objects
from stepvec.audit.sorting import sorted_by_key
from stepvec.client.deployment import Deployment
from stepvec.client.scope import Scope, scope_of
from stepvec.errors import InvalidInputError
from stepvec.rows.item import RowMetadata, VectorItem
from stepvec.rows.vectors import encode_vector
from stepvec.runs.images import ONLY_IMAGES, SuffixRule
from stepvec.runs.listing import ListedImage
from stepvec.runs.run_input import parse_run_input
from stepvec.runs.steps import ListingCursor
from tests.fakes import MemoryStore

MODEL = "resnet18_v2/0123456789ab/standard-1"


def row(key: str, *, image_id: str | None = None, etag: str = "e", model: str = MODEL) -> RowMetadata:
    return RowMetadata(image_id=image_id or key, key=key, etag=etag, model=model, run="r")


def image(key: str, etag: str = "e") -> ListedImage:
    return ListedImage(key, 1, etag)


def kinds(rows: list[RowMetadata], images: list[ListedImage]) -> list[tuple[str, str]]:
    found = compare(rows, images, model=MODEL)
    return [(each.kind.value, each.key) if isinstance(each, Finding) else ("match", each.key) for each in found]


def test_each_kind_is_found_by_its_key() -> None:
    rows = [row("a"), row("b"), row("c", etag="old"), row("d", model="other"), row("f")]
    images = [image("b"), image("c"), image("d"), image("e"), image("f")]
    assert kinds(rows, images) == [
        ("RowWithoutImage", "a"),
        ("match", "b"),
        ("OtherETag", "c"),
        ("OtherModel", "d"),
        ("ImageWithoutRow", "e"),
        ("match", "f"),
    ]


def test_an_empty_side() -> None:
    assert kinds([], [image("a"), image("b")]) == [("ImageWithoutRow", "a"), ("ImageWithoutRow", "b")]
    assert kinds([row("a")], []) == [("RowWithoutImage", "a")]
    assert kinds([], []) == []


def test_an_object_that_is_no_image_is_not_missed_but_its_row_is_no_orphan() -> None:
    # A manifest named it.
    images = [image("a"), image("b.txt"), image("c.jpg"), image("d.txt")]
    reading = Reading(ONLY_IMAGES, images=len(images))
    found = list(compare([row("a"), row("d.txt")], images, model=MODEL, is_missed=reading.is_missed))
    assert [each.key for each in found if isinstance(each, MatchedRow)] == ["a", "d.txt"]
    assert [(each.kind.value, each.key) for each in found if isinstance(each, Finding)] == [
        ("ImageWithoutRow", "c.jpg")
    ]
    assert (reading.images, reading.ignored) == (3, {"txt": 1})


def test_two_rows_of_one_key_are_judged_each() -> None:
    rows = [row("x/a.jpg", image_id="a"), row("x/a.jpg", image_id="x/a.jpg", etag="old")]
    assert kinds(rows, [image("x/a.jpg")]) == [("match", "x/a.jpg"), ("OtherETag", "x/a.jpg")]
    assert kinds(rows, []) == [("RowWithoutImage", "x/a.jpg")] * 2


def test_a_row_of_another_etag_and_model_has_both_findings() -> None:
    assert kinds([row("a", etag="o", model="m")], [image("a")]) == [("OtherETag", "a"), ("OtherModel", "a")]


def test_a_row_without_a_key_cannot_be_told() -> None:
    (finding,) = compare([row("", image_id="some")], [], model=MODEL)
    assert isinstance(finding, Finding)
    assert (finding.kind, finding.image_id) == (FindingKind.UNREADABLE_ROW, "some")


keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=3)


@given(st.sets(keys), st.sets(keys))
def test_as_sets_would_say_for_any_keys(stored: set[str], listed: set[str]) -> None:
    with sorted_by_key(map(row, stored)) as rows:
        found = kinds(list(rows), [image(key) for key in sorted(listed, key=str.encode)])
    assert len(found) == len(stored | listed)
    assert {key for kind, key in found if kind == "RowWithoutImage"} == stored - listed
    assert {key for kind, key in found if kind == "ImageWithoutRow"} == listed - stored
    assert {key for kind, key in found if kind == "match"} == stored & listed


def item(vector: npt.NDArray[np.float32], data_type: str = "float32", model: str = MODEL) -> VectorItem:
    encoded = encode_vector(vector, data_type)  # type: ignore[arg-type]
    return VectorItem(
        "i",
        encoded.data,
        data_type,  # type: ignore[arg-type]
        len(vector),
        datetime.now(UTC),
        "k",
        "e",
        model,
        "r",
        scale=encoded.scale,
    )


def test_vectors_that_agree_and_that_do_not() -> None:
    vector = np.random.default_rng(0).normal(size=512).astype(np.float32)
    noise = np.random.default_rng(1).normal(size=512).astype(np.float32)
    assert compare_vectors(item(vector), vector * 3) is None
    assert compare_vectors(item(vector, "float16"), vector) is None
    assert compare_vectors(item(vector + noise * 0.001), vector) is None
    # What encode_vector refuses may still lie in a table.
    broken = replace(item(vector), vector=np.full(512, np.nan, "<f4").tobytes())
    wrong = [item(other) for other in (vector + noise * 0.03, noise, -vector, np.zeros(512, np.float32))]
    for row in [*wrong, broken]:
        finding = compare_vectors(row, vector)
        assert finding is not None
        assert finding.kind is FindingKind.WRONG_VECTOR
    assert "numbers" in compare_vectors(item(vector[:100]), vector).message  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("model", "vector_type", "least"),
    [
        (MODEL, "float32", 0.9999),
        (MODEL, "int8", 0.999),
        (f"{MODEL}/openvino-float32", "float16", 0.9999),
        (f"{MODEL}/openvino-bf16", "float32", 0.999),
        (f"{MODEL}/onnxruntime-float16", "float32", 0.999),
        (f"{MODEL}/onnxruntime-float32", "float16", 0.9999),
        (f"{MODEL}/openvino-int8-01234567", "int8", 0.99),
    ],
)
def test_the_min_cosine_is_that_of_the_coarser_of_engine_and_type(model: str, vector_type: str, least: float) -> None:
    assert min_cosine(model, vector_type) == least


def test_cosine() -> None:
    assert cosine(np.array([1, 0]), np.array([1, 1])) == pytest.approx(2**-0.5)
    assert np.isnan(cosine(np.zeros(2), np.ones(2)))


def test_a_sample_is_uniform_and_no_larger_than_asked_for() -> None:
    drawn = np.zeros(10)
    for seed in range(2_000):
        sample: Sample[int] = Sample(3, random.Random(seed))
        for element in range(10):
            sample.offer(element)
        assert len(set(sample.chosen)) == 3
        drawn[sample.chosen] += 1
    assert (np.abs(drawn / 2_000 - 0.3) < 0.05).all()
    few: Sample[int] = Sample(5, random.Random(0))
    few.offer(1)
    assert few.chosen == [1]
    none: Sample[MatchedRow] = Sample(0, random.Random(0))
    none.offer(MatchedRow("a", "a", "e"))
    assert none.chosen == []


class Bucket:
    """S3's client, as far as a scope and its objects need it."""

    class meta:  # noqa: N801 - boto3's name
        class events:  # noqa: N801 - boto3's name
            @staticmethod
            def register_first(*_: object, **__: object) -> None:
                """Nothing to shorten here."""

    def __init__(self, *keys: str) -> None:
        self.keys = sorted(keys, key=str.encode)

    def list_objects_v2(self, *, Prefix: str, StartAfter: str = "", **_: object) -> dict[str, Any]:
        keys = [key for key in self.keys if key.startswith(Prefix) and key.encode() > StartAfter.encode()]
        return {"Contents": [{"Key": key, "Size": 1, "ETag": "e"} for key in keys], "IsTruncated": False}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        if Key in self.keys:
            return {"ContentLength": 1, "ETag": "e"}
        raise ClientError({"Error": {"Code": "404"}}, "HeadObject")


def deployed(*keys: str) -> Deployment:
    bucket = Bucket(*keys)
    return Deployment("images", "work", "t", "arn", MODEL, lambda _: bucket)


@pytest.mark.parametrize(
    ("paths", "prefixes", "keys"),
    [
        ([], ("",), ()),
        (["/"], ("",), ()),
        (["a"], ("a/",), ()),
        (["a/1.jpg"], ("a/1.jpg/",), ("a/1.jpg",)),
        (["a/1.jpg/"], ("a/1.jpg/",), ()),
        (["a/gone.jpg", "a/1.jpg"], ("a/1.jpg/", "a/gone.jpg/"), ("a/1.jpg", "a/gone.jpg")),
        (["a/1.jpg", "a"], ("a/",), ()),
        (["s3://images//b.jpg"], ("/b.jpg/",), ("/b.jpg",)),
        (["b.jpg"], ("b.jpg/",), ("b.jpg",)),
    ],
)
def test_a_path_under_which_nothing_lies_is_one_object_there_or_gone(
    paths: list[str], prefixes: tuple[str, ...], keys: tuple[str, ...]
) -> None:
    assert scope_of(deployed("a", "a/1.jpg", "a/2.jpg", "/b.jpg"), paths) == Scope(prefixes, keys)


PATHS = st.lists(st.text("a!/0", min_size=1, max_size=4), min_size=1, max_size=3)


@given(st.sets(st.text("a!/0", min_size=1, max_size=5)), PATHS)
def test_objects_of_paths_are_those_of_a_run_in_the_order_of_their_keys(keys: set[str], paths: list[str]) -> None:
    deployment = deployed(*keys)
    scope = scope_of(deployment, paths)
    listed = [entry.key for entry in list_objects(deployment, scope, Reading(ONLY_IMAGES))]
    assert listed == sorted(set(listed), key=str.encode)
    assert set(listed) == {key for key in keys if scope.holds(key)}
    store = MemoryStore()
    for key in keys:
        store.add_image("images", key)
    asked = parse_run_input({"Paths": paths}, image_bucket="images", work_bucket="work", default_shard_size=1)
    taken = set[str]()
    for prefix in asked.prefixes:
        # One by one, since a run refuses to begin where one of them holds nothing.
        source = PrefixSource(store, "images", (prefix,), objects=asked.objects, suffixes=SuffixRule(("*",)))
        with contextlib.suppress(InvalidInputError):
            taken |= {entry.key for page in source.pages(ListingCursor()) for entry in page.objects}
    assert {key for key in listed if not key.endswith("/")} == {key for key in taken if not key.endswith("/")}
