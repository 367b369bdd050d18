"""Listing: whatever the keys, prefixes, pages and rounds, each image under a prefix is listed once."""

from __future__ import annotations

import csv
import io
import json
import posixpath
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from lambdas.list_images import manifest as manifest_module
from lambdas.list_images.lister import list_images
from lambdas.list_images.manifest import open_manifest
from lambdas.list_images.sources import ImageSource, PrefixSource
from stepvec import codec
from stepvec.errors import InvalidInputError
from stepvec.limits import STATE_PAYLOAD_BYTES
from stepvec.runs.images import IMAGE_SUFFIXES, suffix
from stepvec.runs.layout import S3Uri
from stepvec.runs.listing import ListedImage, read_listing
from stepvec.runs.run_input import RunInput, parse_run_input
from stepvec.runs.steps import ListingCounts, ListingCursor, ListingState
from tests.fakes import LAYOUT, MemoryStore
from tests.properties.strategies import KEYS, PATHS, PROPERTY, is_image

START = ListingState("r", "2026-11-25T00:00:00Z", ListingCounts(), ListingCursor(), done=False)
CLOCKS = st.lists(st.booleans(), min_size=1, max_size=6)
"""Answers to "is time short?", again from the first when used up."""


def run_rounds(
    store: MemoryStore, source: ImageSource, clock: list[bool], lines_per_file: int
) -> tuple[ListingState, list[ListedImage]]:
    """List to the end, each round twice, as AWS may run it, with its state through JSON, as it travels."""
    asked = 0

    def time_is_short() -> bool:
        nonlocal asked
        asked += 1
        return clock[asked % len(clock)]

    def one_round(state: ListingState) -> ListingState:
        nonlocal asked
        written, asked_before = dict(store.files), asked
        after = list_images(state, source, store, LAYOUT, time_is_short=time_is_short, lines_per_file=lines_per_file)
        once, asked = dict(store.files), asked_before
        store.files = written
        again = list_images(state, source, store, LAYOUT, time_is_short=time_is_short, lines_per_file=lines_per_file)
        assert (again, store.files) == (after, once)
        return after

    state = START
    while not state.done:
        text = codec.to_json(one_round(state))
        assert len(text.encode()) < STATE_PAYLOAD_BYTES
        state = codec.from_json(ListingState, text, where="state")
    files = [store.files["work", LAYOUT.listing(number).key] for number in range(state.cursor.files)]
    return state, [image for file in files for image in read_listing(io.BytesIO(file), where="x")]


def prefix_of(path: str) -> str:
    return path if not path or path.endswith("/") else f"{path}/"


def under(keys: set[str], path: str) -> set[str]:
    """The keys that a path means: those under exactly its prefix, or the one object whose key it is."""
    found = {key for key in keys if key.startswith(prefix_of(path))}
    return found or {key for key in keys if key == path}


@st.composite
def keys_and_paths(draw: st.DrawFn) -> tuple[set[str], list[str]]:
    """Some keys, and Paths that are mostly folders of theirs."""
    keys = draw(st.sets(KEYS, min_size=1, max_size=25))
    folders = sorted({key[: key.rfind("/") + 1] for key in keys})
    return keys, draw(st.lists(st.sampled_from([*folders, "", *sorted(keys)]) | PATHS, min_size=1, max_size=4))


def parse(paths: list[str]) -> RunInput:
    # As s3:// URIs, since a path may hold "://" itself.
    document = {"Paths": [f"s3://images/{path}" for path in paths]}
    return parse_run_input(document, image_bucket="images", work_bucket="work", default_shard_size=1)


@PROPERTY
@given(keys_and_paths(), st.integers(1, 5), CLOCKS, st.integers(1, 6))
def test_every_image_under_any_prefix_is_listed_once(
    case: tuple[set[str], list[str]], page_size: int, clock: list[bool], lines_per_file: int
) -> None:
    keys, paths = case
    store = MemoryStore(page_size=page_size)
    for number, key in enumerate(keys):
        store.add_image("images", key, size=number)
    run_input = parse(paths)
    source = PrefixSource(store, "images", run_input.prefixes, objects=run_input.objects)
    # A path within another is dropped, so what it names is found by the other.
    kept = [path for path in paths if prefix_of(path) in run_input.prefixes]
    named = {path for path in kept if under(keys, path) == {path} and not path.endswith("/")}
    empty = [path for path in kept if path not in named and not any(map(is_image, under(keys, path)))]
    event(f"a prefix without an image: {bool(empty)}, an object: {bool(named)}")
    if empty:
        with pytest.raises(InvalidInputError, match="no image under"):
            run_rounds(store, source, clock, lines_per_file)
        return
    state, images = run_rounds(store, source, clock, lines_per_file)
    wanted = {key for path in kept for key in under(keys, path)}
    by_key = {image.key: image for image in images}
    assert len(by_key) == len(images)
    assert set(by_key) == {key for key in wanted if is_image(key) or key in named}
    assert all(store.etags["images", key] == (image.size, image.etag) for key, image in by_key.items())
    assert (state.counts.listed, state.counts.bytes) == (len(images), sum(image.size for image in images))
    assert state.counts.ignored == len(wanted) - len(images) == sum(state.counts.ignored_by_suffix.values())


@PROPERTY
@given(KEYS)
def test_a_suffix_is_what_splitext_says(key: str) -> None:
    said = posixpath.splitext(posixpath.basename(key))[1][1:].lower()
    # What was a URL may go on after an image's suffix.
    assert suffix(key) == said or (suffix(key) in IMAGE_SUFFIXES and any(mark in key for mark in "?#;:!&@%"))


@PROPERTY
@given(KEYS.filter(is_image), st.sampled_from(["?v=2", "?v=2.1&x=a/b", ":large", "%3Fv=2", "#top", "!w300"]))
def test_an_image_whose_key_was_a_url_is_one(key: str, rest: str) -> None:
    assert is_image(key + rest.replace("/", ""))


def json_line(key: str, form: int) -> str:
    # A key that looks like a URI is named by its URI.
    name = f"s3://images/{key}" if key.startswith("s3://") else key
    return json.dumps([name, {"key": name}, {"key": name, "size": 7, "etag": '"e"'}][form])


def csv_rows(keys: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(
        ["images", urllib.parse.quote_plus(key), "7", "e"] for key in keys
    )
    return text.getvalue().encode()


INVENTORY = {
    "sourceBucket": "images",
    "destinationBucket": "arn:aws:s3:::work",
    "fileFormat": "CSV",
    "fileSchema": "Bucket, Key, Size, ETag",
}


def open_lines(store: MemoryStore, parts: list[list[str]], form: int) -> ImageSource:
    keys = [key for part in parts for key in part]
    return _opened(store, "list.jsonl", "\n".join(json_line(key, (form + len(key)) % 3) for key in keys).encode())


def open_inventory(store: MemoryStore, parts: list[list[str]], form: int) -> ImageSource:
    for number, part in enumerate(parts):
        store.write(S3Uri("work", f"{form}/{number}.csv"), csv_rows(part))
    files = [{"key": f"{form}/{number}.csv"} for number in range(len(parts))]
    return _opened(store, "manifest.json", json.dumps({**INVENTORY, "files": files}).encode())


def _opened(store: MemoryStore, name: str, body: bytes) -> ImageSource:
    store.write(S3Uri("work", name), body)
    return open_manifest(store, S3Uri("work", name), image_bucket="images", buckets=("images", "work"))


@pytest.fixture(scope="module", autouse=True)
def _two_lines_a_page() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_module, "LIST_PAGE_KEYS", 2)
        yield


@PROPERTY
@given(
    st.lists(st.lists(KEYS, max_size=6), min_size=1, max_size=4).filter(any),
    st.sampled_from([open_lines, open_inventory]),
    st.integers(0, 2),
    CLOCKS,
)
def test_every_line_of_a_manifest_is_listed_in_its_order(
    parts: list[list[str]], opened: Callable[..., Any], form: int, clock: list[bool]
) -> None:
    store = MemoryStore()
    keys = [key for part in parts for key in part]
    for key in keys:
        store.add_image("images", key, size=7, etag="e")
    # A manifest of keys means each of them; an inventory lists all that is there.
    wanted = keys if opened is open_lines else [key for key in keys if is_image(key)]
    if not wanted:
        with pytest.raises(InvalidInputError, match="nothing to embed"):
            run_rounds(store, opened(store, parts, form), clock, 4)
        return
    state, images = run_rounds(store, opened(store, parts, form), clock, 4)
    assert images == [ListedImage(key, 7, "e") for key in wanted]
    assert state.counts.listed + state.counts.ignored == len(keys)
    assert Counter(image.key for image in images) == Counter(wanted)
