"""The audit's comparison, on streams made here."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from stepvec.audit.sorting import sorted_by_key
from stepvec.rows.item import RowMetadata, VectorItem
from stepvec.rows.vectors import encode_vector
from stepvec.runs.listing import ListedImage

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
