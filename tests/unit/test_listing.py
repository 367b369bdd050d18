"""ListImages: sources, the loop and its cursor, listing files."""

import gzip
import io
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.list_images import manifest as manifest_module
from lambdas.list_images.lister import list_images
from lambdas.list_images.manifest import open_manifest
from lambdas.list_images.sources import ImageSource, PrefixSource
from stepvec.adapters.run_files import claim_run
from stepvec.errors import InvalidInputError, RecordError
from stepvec.runs.layout import S3Uri
from stepvec.runs.listing import ListedImage, ShardImage, dump_listing, dump_shard, read_listing, read_shard
from stepvec.runs.run_input import normalise_prefixes
from stepvec.runs.steps import (
    OTHER_SUFFIXES,
    SUFFIXES_COUNTED,
    ListingCounts,
    ListingCursor,
    ListingState,
)
from tests.fakes import LAYOUT, MemoryStore

START = ListingState("r", "2026-11-22T00:00:00Z", ListingCounts(), ListingCursor(), done=False)
ODD_KEYS = ["a/with space.jpg", "a/ü.JPG", "a/new\nline.png", "a/1+1.jpeg", "a/50%.webp", "a/日本.gif", "a/q?&=.tiff"]


def run(
    store: MemoryStore,
    source: ImageSource,
    *,
    time_is_short: Callable[[], bool] = lambda: False,
    lines: int = 50_000,
) -> tuple[ListingState, list[ListedImage], int]:
    """List to the end, round by round; the state, all listed images, and the rounds it took."""
    state, rounds = START, 0
    while not state.done:
        state = list_images(state, source, store, LAYOUT, time_is_short=time_is_short, lines_per_file=lines)
        rounds += 1
    images = [
        image
        for number in range(state.cursor.files)
        for image in read_listing(io.BytesIO(store.files["work", LAYOUT.listing(number).key]), where="x")
    ]
    return state, images, rounds


def prefix_source(store: MemoryStore, *prefixes: str) -> PrefixSource:
    return PrefixSource(store, "images", normalise_prefixes(list(prefixes)))


def test_every_image_under_every_prefix_is_listed_once_with_size_and_etag() -> None:
    store = MemoryStore(page_size=3)
    for key in [*(f"a/{number}.jpg" for number in range(10)), *(f"b/{number}.jpg" for number in range(10)), *ODD_KEYS]:
        store.add_image("images", key, size=7)
    store.add_image("images", "ab/not-asked.jpg")
    store.add_image("other", "a/not-mine.jpg")
    state, images, _ = run(store, prefix_source(store, "b/", "a/", "a/1/"))
    assert sorted(image.key for image in images) == sorted(
        [*(f"{folder}/{number}.jpg" for folder in "ab" for number in range(10)), *ODD_KEYS]
    )
    assert images[0] == ListedImage(images[0].key, 7, f"etag-of-{images[0].key}")
    assert (state.counts.listed, state.counts.bytes) == (27, 7 * 27)


def test_what_is_ignored_is_counted_by_suffix() -> None:
    store = MemoryStore(page_size=2)
    for key in ["a/1.jpg", "a/", "a/readme.TXT", "a/b.txt", "a/data.csv", "a/.jpg"]:
        store.add_image("images", key)
    state, images, _ = run(store, prefix_source(store, "a/"))
    assert [image.key for image in images] == ["a/1.jpg"]
    assert state.counts.ignored == 5
    assert state.counts.ignored_by_suffix == {"(none)": 2, "txt": 2, "csv": 1}


def test_the_state_stays_small_whatever_suffixes_there_are() -> None:
    counts = ListingCounts().add(listed=0, size=0, ignored={f"s{number}": 1 for number in range(1000)})
    assert len(counts.ignored_by_suffix) == SUFFIXES_COUNTED + 1
    assert counts.ignored_by_suffix[OTHER_SUFFIXES] == 1000 - SUFFIXES_COUNTED
    assert counts.ignored == 1000


@pytest.mark.parametrize("lines", [1, 3, 1000])
def test_rounds_cut_anywhere_list_the_same(lines: int) -> None:
    store = MemoryStore(page_size=2)
    for number in range(25):
        store.add_image("images", f"a/{number}.jpg")
        store.add_image("images", f"b/{number}.jpg")
    whole = run(store, prefix_source(store, "a/", "b/"))[1]
    cut_state, cut, rounds = run(store, prefix_source(store, "a/", "b/"), time_is_short=lambda: True, lines=lines)
    assert rounds > 20
    assert [image.key for image in cut] == [image.key for image in whole]
    assert cut_state.counts.listed == 50


def test_a_round_repeated_writes_the_same_files_again() -> None:
    store = MemoryStore(page_size=2)
    for number in range(9):
        store.add_image("images", f"a/{number}.jpg")
    ticks = itertools.cycle([False, True])
    first = list_images(START, prefix_source(store, "a/"), store, LAYOUT, time_is_short=lambda: next(ticks))
    files = dict(store.files)
    ticks = itertools.cycle([False, True])
    assert list_images(START, prefix_source(store, "a/"), store, LAYOUT, time_is_short=lambda: next(ticks)) == first
    assert store.files == files


def test_a_prefix_without_an_image_is_an_error_that_names_it() -> None:
    store = MemoryStore()
    store.add_image("images", "a/1.jpg")
    store.add_image("images", "typo/readme.txt")
    with pytest.raises(InvalidInputError, match="no image under 'typo/'"):
        run(store, prefix_source(store, "a/", "typo/"))


def manifest(store: MemoryStore, key: str, text: str, **kwargs: str) -> ImageSource:
    uri = S3Uri(kwargs.get("bucket", "work"), key)
    store.write(uri, text.encode())
    return open_manifest(store, uri, image_bucket="images", buckets=("images", "work"))


def test_a_manifest_of_json_lines_names_keys_or_objects() -> None:
    store = MemoryStore()
    store.add_image("images", "a/1.jpg", size=5, etag="e1")
    text = '"a/1.jpg"\n\n{"key": "a/2.jpg", "size": 8, "etag": "\\"e2\\""}\n{"key": "gone.jpg"}\n"notes.txt"\n'
    state, images, _ = run(store, manifest(store, "list.jsonl", text), time_is_short=lambda: True)
    assert images == [
        ListedImage("a/1.jpg", 5, "e1"),
        ListedImage("a/2.jpg", 8, "e2"),
        ListedImage("gone.jpg", 0, ""),
    ]
    assert (state.counts.listed, state.counts.ignored) == (3, 1)


def test_a_manifest_goes_on_from_its_cursor() -> None:
    store = MemoryStore()
    lines = "\n".join(f'{{"key": "{number}.jpg", "size": 1, "etag": "e"}}' for number in range(2500))
    state, images, rounds = run(store, manifest(store, "list.jsonl", lines), time_is_short=lambda: True)
    assert rounds > 2
    assert [image.key for image in images] == [f"{number}.jpg" for number in range(2500)]
    assert state.counts.listed == 2500


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("images/1.jpg\n", "line 1 .* is not JSON"),
        ('"a.jpg"\n[1]\n', "line 2 .* names no key"),
        ('{"name": "a.jpg"}', "line 1 .* names no key"),
        ('""', "is empty, over"),
        (f'"{"x" * 1025}"', "is empty, over"),
        ('"\\ud800.jpg"', "no Unicode"),
        ("[" * 100_000, "is not JSON"),
        ("", "names no key"),
    ],
)
def test_a_malformed_manifest_is_an_error_that_names_the_line(text: str, problem: str) -> None:
    store = MemoryStore()
    with pytest.raises(InvalidInputError, match=problem):
        run(store, manifest(store, "list.jsonl", text))


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b'"a.jpg"\n' * 1000)[:-9], gzip.compress(b"x" * 99)[:-4]])
def test_a_manifest_that_breaks_off_is_an_error_that_names_it(body: bytes) -> None:
    store, uri = MemoryStore(), S3Uri("work", "list.jsonl.gz")
    store.write(uri, body)
    with pytest.raises(InvalidInputError, match=r"list\.jsonl\.gz"):
        run(store, open_manifest(store, uri, image_bucket="images", buckets=("images", "work")))


def test_a_manifest_larger_than_the_functions_disk_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_module, "MAX_FILE_BYTES", 10)
    with pytest.raises(InvalidInputError, match="list.jsonl has 20 bytes"):
        manifest(MemoryStore(), "list.jsonl", '"a.jpg"\n"b.jpg"\n    ')
    inventory = (INVENTORY % "CSV").replace('"inv/2.csv"', '"inv/2.csv", "size": 11')
    monkeypatch.setattr(manifest_module, "MAX_FILE_BYTES", 10_000)
    manifest(MemoryStore(), "inv/manifest.json", inventory)
    with pytest.raises(InvalidInputError, match="inv/2.csv has 11000 bytes"):
        manifest(MemoryStore(), "inv/manifest.json", inventory.replace("11}", "11000}"))


def test_sizes_that_are_none_are_looked_up() -> None:
    store = MemoryStore()
    for name in ("a", "b", "c"):
        store.add_image("images", f"{name}.jpg", size=5, etag="e")
    lines = '{"key": "a.jpg", "size": -1, "etag": "x"}\n{"key": "b.jpg", "size": true, "etag": "x"}\n'
    _, images, _ = run(store, manifest(store, "list.jsonl", lines))
    assert [(image.size, image.etag) for image in images] == [(5, "e"), (5, "e")]
    store.write(S3Uri("work", "inv/1.csv"), '"images","c.jpg","v","true","false","²","x"\n'.encode())
    store.write(S3Uri("work", "inv/2.csv"), b"")
    _, images, _ = run(store, manifest(store, "inv/manifest.json", INVENTORY % "CSV"))
    assert images == [ListedImage("c.jpg", 5, "e")]


def test_a_manifest_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidInputError, match="there is no s3://work/list.jsonl"):
        open_manifest(MemoryStore(), S3Uri("work", "list.jsonl"), image_bucket="images", buckets=("images", "work"))


INVENTORY = (
    '{"sourceBucket": "images", "destinationBucket": "arn:aws:s3:::work", "fileFormat": "%s",'
    ' "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, ETag",'
    ' "files": [{"key": "inv/1.csv"}, {"key": "inv/2.csv"}]}'
)


def test_an_s3_inventory_is_read_file_by_file() -> None:
    store = MemoryStore()
    rows = (
        '"images","a%2Fwith+space.jpg","v1","true","false","12","e1"\n"images","old.jpg","v0","false","false","1","e"\n'
    )
    store.write(S3Uri("work", "inv/1.csv"), rows.encode())
    store.write(S3Uri("work", "inv/2.csv"), b'"images","b.jpg","v","true","false","3","e2"\n')
    source = manifest(store, "inv/manifest.json", INVENTORY % "CSV")
    _, images, _ = run(store, source, time_is_short=lambda: True)
    assert images == [ListedImage("a/with space.jpg", 12, "e1"), ListedImage("b.jpg", 3, "e2")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (INVENTORY % "ORC", "format ORC"),
        ((INVENTORY % "CSV").replace('"images"', '"other"'), "lists s3://other/"),
        ((INVENTORY % "CSV").replace(":work", ":elsewhere"), "lies in s3://elsewhere/"),
        ("{}", "not a manifest of S3 Inventory"),
        ("[]", "not a manifest of S3 Inventory"),
        ((INVENTORY % "CSV").replace('"inv/2.csv"', "2"), "not a manifest of S3 Inventory"),
        ("x", "not a manifest of S3 Inventory"),
    ],
)
def test_an_inventory_that_cannot_be_used_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        manifest(MemoryStore(), "inv/manifest.json", text)


@given(st.lists(st.builds(ShardImage, st.text(min_size=1), st.integers(0), st.text(), st.text(min_size=1))))
def test_shard_files_hold_any_key_and_are_the_same_bytes_each_time(images: list[ShardImage]) -> None:
    assert list(read_shard(io.BytesIO(dump_shard(images)), where="x")) == images
    assert dump_shard(images) == dump_shard(images)


def test_a_run_begins_once_however_often_its_first_round_is_tried() -> None:
    store = MemoryStore()
    for _ in range(2):
        claim_run(store, LAYOUT, "2026-11-22T00:00:00Z")
    assert store.document(LAYOUT.started) == {"started": "2026-11-22T00:00:00Z"}
    with pytest.raises(InvalidInputError, match="The name 'r' is that of the run of 2026-11-22T00:00:00Z"):
        claim_run(store, LAYOUT, "2027-02-21T00:00:00Z")
    assert store.document(LAYOUT.started) == {"started": "2026-11-22T00:00:00Z"}


def test_a_line_that_is_wrong_is_named() -> None:
    with pytest.raises(RecordError, match="listing, line 1"):
        list(read_shard(io.BytesIO(dump_listing([ListedImage("k", 1, "e")])), where="listing"))
