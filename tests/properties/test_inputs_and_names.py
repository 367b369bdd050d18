"""Inputs in their normal form, names of a run's files, URIs, and items of the table."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stepvec.errors import InvalidInputError, RecordError
from stepvec.limits import EXECUTION_NAME_CHARACTERS, KEY_BYTES, WRITE_UNIT_BYTES
from stepvec.rows.item import (
    BYTES_PER_NUMBER,
    VECTOR_TYPES,
    RowMetadata,
    VectorItem,
    decode_item,
    decode_metadata,
    encode_item,
    item_bytes,
    write_units,
)
from stepvec.runs.images import image_id
from stepvec.runs.layout import RunLayout, S3Uri, parse_shard_uri
from stepvec.runs.run_input import RunInput, parse_normal_form, parse_run_input
from tests.properties.strategies import KEYS, PATHS, PROPERTY

ANY_PATHS = st.lists(PATHS | PATHS.map("s3://images/".__add__) | st.text(), min_size=1, max_size=5)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "ImageId": st.sampled_from(["key", "stem"]),
        "ShardSize": st.integers(1, 50_000),
        "Reembed": st.booleans(),
        "MaxFailures": st.integers(0),
    },
)
RUNS = st.text("abcXYZ019-_", min_size=1, max_size=EXECUTION_NAME_CHARACTERS)


def parse(document: Any) -> RunInput:
    return parse_run_input(document, image_bucket="images", work_bucket="work", default_shard_size=5000)


@PROPERTY
@given(ANY_PATHS, OPTIONS)
def test_the_normal_form_is_an_input_that_means_the_same(paths: list[str], options: dict[str, Any]) -> None:
    try:
        once = parse({"Paths": paths, **options})
    except InvalidInputError:
        assume(False)
        raise
    # As ListImages writes it and the later rounds and steps read it.
    written = json.dumps(once.to_document(), ensure_ascii=False).encode()
    again = parse(json.loads(written))
    assert again == once
    assert again.to_document() == once.to_document()
    read = parse_normal_form(written, where="input.json")
    assert replace(read, image_bucket=once.image_bucket) == once
    assert read.to_document() == once.to_document()


@PROPERTY
@given(KEYS, st.sampled_from(["images", "work"]), OPTIONS)
def test_a_manifests_normal_form_means_the_same(key: str, bucket: str, options: dict[str, Any]) -> None:
    once = parse({"Manifest": f"s3://{bucket}/{key}", **options})
    assert once.manifest == S3Uri(bucket, key)
    assert parse(once.to_document()) == once


@PROPERTY
@given(st.lists(PATHS, min_size=1, max_size=6), KEYS)
def test_no_prefix_lies_within_another_and_none_is_lost(paths: list[str], key: str) -> None:
    try:
        prefixes = parse({"Paths": [f"s3://images/{path}" for path in paths]}).prefixes
    except InvalidInputError:
        assume(False)
        raise
    wanted = [path if not path or path.endswith("/") else f"{path}/" for path in paths]
    for probe in (key, *(prefix + key for prefix in wanted)):
        holding = [prefix for prefix in prefixes if probe.startswith(prefix)]
        assert len(holding) == any(probe.startswith(prefix) for prefix in wanted)


@PROPERTY
@given(st.text())
def test_a_prefix_that_is_no_unicode_or_too_long_is_refused_by_name(text: str) -> None:
    for path in (f"{text}\ud800", f"x{text}" + "y" * KEY_BYTES):
        with pytest.raises(InvalidInputError, match=r"Paths\[0\]"):
            parse({"Paths": [path]})


@PROPERTY
@given(KEYS)
def test_an_s3_uri_is_read_as_it_was_written(key: str) -> None:
    assert S3Uri.parse(str(S3Uri("bucket", key))) == S3Uri("bucket", key)


@PROPERTY
@given(RUNS, RUNS, st.lists(st.integers(0, 10**6), min_size=2, max_size=6, unique=True))
def test_every_file_of_every_run_has_a_name_of_its_own(run: str, other: str, numbers: list[int]) -> None:
    assume(run != other)
    uris = []
    for name in (run, other):
        layout = RunLayout("work", name)
        uris += [layout.input, layout.shards, layout.failures, layout.report]
        for number in numbers:
            uris += [layout.listing(number), layout.sharding_step(number), layout.carry(number), layout.shard(number)]
            uris += [layout.progress(number), layout.shard_report(number), layout.verified(number)]
            uris += [layout.partition(number, group) for group in numbers]
            assert parse_shard_uri(str(layout.shard(number))) == (layout, number)
            for uri in (layout.listing(number), layout.partition(number, number), layout.carry(number)):
                with pytest.raises(RecordError, match="not the URI of a shard"):
                    parse_shard_uri(str(uri))
        assert all(uri.key.startswith(f"runs/{name}/") for uri in uris[-3:])
    assert len(set(uris)) == len(uris)


@st.composite
def items(draw: st.DrawFn) -> VectorItem:
    data_type = draw(st.sampled_from(VECTOR_TYPES))
    dimension = draw(st.sampled_from([1, 2, 512, 1280]))
    key = draw(KEYS)
    seed = draw(st.binary(min_size=1, max_size=16))
    size = dimension * BYTES_PER_NUMBER[data_type]
    return VectorItem(
        image_id=image_id(key, draw(st.sampled_from(["key", "stem"]))) or key,
        vector=(seed * size)[:size],
        data_type=data_type,
        dimension=dimension,
        created=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=draw(st.integers(0, 10**11))),
        key=key,
        etag=draw(st.text("0123456789abcdef-", min_size=1, max_size=40)),
        model=draw(st.sampled_from(["resnet18_v2/a81db45fd7b7/standard-1", "m"])),
        run=draw(RUNS),
        modified=draw(st.none() | st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)).map(_whole_seconds)),
        scale=draw(st.floats(1e-30, 1e30)) if data_type == "int8" else None,
    )


def _whole_seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


@PROPERTY
@given(items())
def test_an_item_is_read_as_it_was_written(item: VectorItem) -> None:
    row = encode_item(item)
    assert decode_item(row) == item
    assert decode_metadata(row) == RowMetadata(
        item.image_id,
        item.key,
        item.etag,
        item.model,
        item.run,
        None if item.modified is None else int(item.modified.timestamp()),
        row["Created"]["S"],
    )
    assert WRITE_UNIT_BYTES * (write_units(row) - 1) < item_bytes(row) <= WRITE_UNIT_BYTES * write_units(row)
    assert item_bytes(row) > len(item.vector) + len(item.key.encode())
    # Rows of other writers have no Modified.
    for name in row.keys() - {"Modified"}:
        with pytest.raises(RecordError):
            decode_item({other: value for other, value in row.items() if other != name})
