"""ListImages: sources, the loop and its cursor, listing files."""

import gzip
import io
import itertools
import json
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.list_images import manifest as manifest_module
from lambdas.list_images.lister import list_images
from lambdas.list_images.manifest import open_manifest
from lambdas.list_images.sources import ImageSource, PrefixSource
from stepvec.adapters.run_files import claim_run
from stepvec.errors import InvalidInputError, RecordError, StorageError
from stepvec.runs.images import ONLY_IMAGES, SuffixRule
from stepvec.runs.layout import S3Uri
from stepvec.runs.listing import ListedImage, ShardImage, archived, dump_listing, dump_shard, read_listing, read_shard
from stepvec.runs.outcome import FailureReason, Refusal
from stepvec.runs.run_input import parse_run_input
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
    suffixes: SuffixRule = ONLY_IMAGES,
) -> tuple[ListingState, list[ListedImage], int]:
    """List to the end, round by round; the state, all listed images, and the rounds it took."""
    state, rounds = START, 0
    while not state.done:
        state = list_images(
            state, source, store, LAYOUT, suffixes=suffixes, time_is_short=time_is_short, lines_per_file=lines
        )
        rounds += 1
    images = [
        image
        for number in range(state.cursor.files)
        for image in read_listing(io.BytesIO(store.files["work", LAYOUT.listing(number).key]), where="x")
    ]
    return state, images, rounds


def prefix_source(store: MemoryStore, *paths: str, suffixes: SuffixRule = ONLY_IMAGES) -> PrefixSource:
    asked = parse_run_input({"Paths": list(paths)}, image_bucket="images", work_bucket="work", default_shard_size=1)
    return PrefixSource(store, "images", asked.prefixes, objects=asked.objects, suffixes=suffixes)


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


def test_a_prefix_whose_rest_is_deleted_while_it_is_listed_does_not_become_an_object() -> None:
    store = MemoryStore(page_size=1)
    for key in ("a", "a/1.txt", "a/2.txt"):
        store.add_image("images", key)
    pages = prefix_source(store, "a").pages(ListingCursor())
    cursor = next(pages).cursor
    del store.etags["images", "a/2.txt"]
    # There was something under a/, so a is that prefix, whether this invocation goes on or the next one begins here.
    for rest in (pages, prefix_source(store, "a").pages(cursor)):
        with pytest.raises(InvalidInputError, match="no image under 'a/'"):
            next(rest)


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


def bucket_of(*keys: str, size: int = 10) -> MemoryStore:
    store = MemoryStore()
    for key in keys:
        store.add_image("images", key, size=size)
    return store


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("images", ["images/1.jpg"]),
        ("/images", ["/images/2.jpg"]),
        ("/images/", ["/images/2.jpg"]),
        ("s3://images//images/", ["/images/2.jpg"]),
        ("images//", ["images//3.jpg"]),
        ("s3://images//", ["/images/2.jpg"]),
        ("one.jpg", ["one.jpg"]),
        ("hash", ["hash"]),
        ("both", ["both/5.jpg"]),
    ],
)
def test_a_path_means_exactly_that_prefix_or_that_object(path: str, keys: list[str]) -> None:
    store = bucket_of(
        "images/1.jpg", "/images/2.jpg", "images//3.jpg", "one.jpg", "one.jpg.txt", "hash", "both", "both/5.jpg"
    )
    _, images, _ = run(store, prefix_source(store, path))
    # A prefix has what lies deeper, too.
    assert [image.key for image in images if path != "images" or "//" not in image.key] == keys


@pytest.mark.parametrize("path", ["/one.jpg", "one.jpg/", "on", "/both", "/hash"])
def test_a_path_is_never_taken_for_another(path: str) -> None:
    store = bucket_of("one.jpg", "both/5.jpg", "hash")
    with pytest.raises(InvalidInputError, match="no image under"):
        run(store, prefix_source(store, path))


def test_an_absolute_path_that_has_no_image_is_told_from_the_one_without_its_slash() -> None:
    store = bucket_of("images/1.jpg")
    with pytest.raises(InvalidInputError) as caught:
        run(store, prefix_source(store, "/images"))
    assert "'images/'" in caught.value.remedy


def test_a_folder_of_other_things_says_which() -> None:
    store = bucket_of("a/1.txt", "a/2.txt", "a/hash", "a/._1.jpg", "a/__MACOSX/1.jpg")
    with pytest.raises(InvalidInputError, match=r"only others \(\(AppleDouble\) 2, txt 2, \(none\) 1\)"):
        run(store, prefix_source(store, "a"))


KINDS = (
    "a/1.jfif", "a/2.JPE", "a/3.dib", "a/4.apng", "a/5.avif", "a/6.heic", "a/7.heif", "a/8.jxl", "a/photo.jpg?v=2",
    "a/photo.jpg?v=2.1", "a/photo.jpeg:large", "a/photo.png%3Fw=1",
)  # fmt: skip


def test_what_people_have_is_an_image() -> None:
    others = ("a/hash", "a/x.raw", "a/x.txt", "a/._1.jpg", "a/__MACOSX/2.jpg", "a/.DS_Store")
    store = bucket_of(*KINDS, *others)
    store.add_image("images", "a/folder/", size=0)
    state, images, _ = run(store, prefix_source(store, "a"))
    assert sorted(image.key for image in images) == sorted(KINDS)
    assert state.counts.ignored_by_suffix == {"(none)": 3, "raw": 1, "txt": 1, "(AppleDouble)": 2}
    for more, found in (
        (("raw",), ["a/x.raw"]),
        (("(none)",), ["a/.DS_Store", "a/hash"]),
        (("*",), ["a/.DS_Store", "a/hash", "a/x.raw", "a/x.txt"]),
    ):
        rule = SuffixRule(more)
        _, images, _ = run(store, prefix_source(store, "a", suffixes=rule), suffixes=rule)
        assert sorted(image.key for image in images) == sorted([*KINDS, *found])


def test_archived_objects_are_listed_with_their_reason_and_read_back_with_it() -> None:
    refused = archived("GLACIER")
    assert refused is not None
    assert "restore it" in refused.message
    assert archived("GLACIER", is_restored=True) is None
    assert "start again when that is done" in str(archived("DEEP_ARCHIVE", is_restoring=True))
    images = [ListedImage("a.jpg", 1, "e", refused), ListedImage("b.jpg", 1, "e")]
    assert list(read_listing(io.BytesIO(dump_listing(images)), where="x")) == images


def manifest(store: MemoryStore, key: str, text: str, **kwargs: str) -> ImageSource:
    uri = S3Uri(kwargs.get("bucket", "work"), key)
    store.write(uri, text.encode())
    return open_manifest(store, uri, image_bucket="images", buckets=("images", "work"))


def test_a_manifest_of_json_lines_names_keys_or_objects() -> None:
    store = MemoryStore()
    store.add_image("images", "a/1.jpg", size=5, etag="e1")
    text = '"a/1.jpg"\n\n{"key": "a/2.jpg", "size": 8, "etag": "\\"e2\\""}\n{"key": "gone.jpg"}\n"notes.txt"\n'
    text += '"s3://images/b c.jpg"\n'
    state, images, _ = run(store, manifest(store, "list.jsonl", text), time_is_short=lambda: True)
    assert images == [
        ListedImage("a/1.jpg", 5, "e1"),
        ListedImage("a/2.jpg", 8, "e2"),
        ListedImage("gone.jpg", 0, ""),
        ListedImage("notes.txt", 0, ""),
        ListedImage("b c.jpg", 0, ""),
    ]
    assert (state.counts.listed, state.counts.ignored) == (5, 0)


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
        ('"\\ud800.jpg"', "not Unicode"),
        ("[" * 50_000, "is not JSON"),
        ("[" * 100_000, "line 1 .* has over 65,536 bytes"),
        ('"s3://other/a.jpg"', "line 1 .* is of another bucket .'other'.*only s3://images/"),
        ('"s3://images"', "is empty, over"),
        ('"a.jpg"\n{"key": "b.jpg", "bucket": "other"}', "line 2 .* another bucket"),
        *(
            (f'{{"key": "a.jpg", "size": 1, "etag": "{etag}"}}', "has an ETag that S3 cannot have given")
            for etag in ("e\\r\\nX-Evil: 1", "e\\n", "a\\u0000b", "x" * 65, "\u00fc", "a b", "")
        ),
        ('{"key": "a.jpg", "size": 1, "etag": 5}', "has an ETag"),
        *(
            (f'{{"key": "a.jpg", "size": {size}, "etag": "e"}}', "has a size that is wrong")
            for size in ("-1", "true", "1.5", "NaN", "1e999", "Infinity", str(2**60), '"12"', "[]")
        ),
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


def test_sizes_and_etags_that_are_left_out_are_looked_up() -> None:
    store = MemoryStore()
    for name in ("a", "b", "c"):
        store.add_image("images", f"{name}.jpg", size=5, etag="e")
    lines = '{"key": "a.jpg", "etag": "x"}\n{"key": "b.jpg", "size": null, "etag": "x"}\n{"key": "c.jpg", "size": 1}'
    _, images, _ = run(store, manifest(store, "list.jsonl", lines))
    assert [(image.size, image.etag) for image in images] == [(5, "e")] * 3
    store.write(S3Uri("work", "inv/1.csv"), b'"images","c.jpg","v","true","false","","x"\n')
    store.write(S3Uri("work", "inv/2.csv"), b"")
    _, images, _ = run(store, manifest(store, "inv/manifest.json", INVENTORY % "CSV"))
    assert images == [ListedImage("c.jpg", 5, "e")]


def gzipped(store: MemoryStore, body: bytes) -> ImageSource:
    uri = S3Uri("work", "list.jsonl.gz")
    store.write(uri, gzip.compress(body, compresslevel=1))
    return open_manifest(store, uri, image_bucket="images", buckets=("images", "work"))


def test_blank_lines_cost_neither_time_nor_memory() -> None:
    with pytest.raises(InvalidInputError, match=r"has 8,388,609 bytes in 8,388,609 lines for 0 keys"):
        run(MemoryStore(), gzipped(MemoryStore(), b"\n" * 20_000_000))
    store = MemoryStore()
    spread = b'"a.jpg"\n' + b"\n" * 5000 + b'{"key": "b.jpg", "size": 1, "etag": "e"}\n'
    state, images, rounds = run(store, gzipped(store, spread), time_is_short=lambda: True)
    # The clock is looked at though no page holds a key.
    assert (len(images), state.counts.listed) == (2, 2)
    assert rounds > 5


def test_a_line_without_end_is_not_read_into_memory() -> None:
    store = MemoryStore()
    source = gzipped(store, b"x" * 200_000_000)
    tracemalloc.start()
    with pytest.raises(InvalidInputError, match="line 1 .* has over 65,536 bytes"):
        run(store, source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_manifest_of_too_many_lines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_module, "MAX_FILE_LINES", 3)
    with pytest.raises(InvalidInputError, match="has over 3 lines"):
        run(MemoryStore(), manifest(MemoryStore(), "list.jsonl", '"a.jpg"\n' * 4))


class Refusing(MemoryStore):
    """Refuses HeadObject of keys that begin with `x`."""

    def look_up(self, bucket: str, key: str) -> ListedImage:
        if key.startswith("x"):
            return ListedImage(key, 0, "", Refusal(FailureReason.UNREADABLE, "S3 refuses it"))
        return super().look_up(bucket, key)


def test_an_object_that_s3_refuses_is_listed_with_its_reason_and_many_stop_the_run() -> None:
    store = Refusing()
    uri = S3Uri("work", "m.jsonl")
    store.write(uri, b'"x.jpg"\n"a.jpg"\n')
    source = open_manifest(store, uri, image_bucket="images", buckets=("work",))
    _, images, _ = run(store, source)
    assert [image.refused and image.refused.reason for image in images] == [FailureReason.UNREADABLE, None]
    store.write(uri, b'"x.jpg"\n' * 100)
    with pytest.raises(StorageError, match="refused all of the 100 keys"):
        run(store, source)


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


def inventory_of(columns: str, rows: str) -> tuple[MemoryStore, ImageSource]:
    store = MemoryStore()
    document = {
        "sourceBucket": "images",
        "destinationBucket": "arn:aws:s3:::work",
        "fileFormat": "CSV",
        "fileSchema": columns,
        "files": [{"key": "inv/1.csv", "size": len(rows)}],
    }
    store.write(S3Uri("work", "inv/1.csv"), rows.encode())
    return store, manifest(store, "inv/manifest.json", json.dumps(document))


def test_what_an_inventory_says_of_archives_and_encryption_is_used() -> None:
    rows = [
        ("standard.jpg", "STANDARD", "SSE-S3", ""),
        ("instant.jpg", "GLACIER_IR", "SSE-KMS", ""),
        ("frequent.jpg", "INTELLIGENT_TIERING", "", "FREQUENT"),
        ("glacier.jpg", "GLACIER", "SSE-S3", ""),
        ("deep.jpg", "DEEP_ARCHIVE", "SSE-S3", ""),
        ("tier.jpg", "INTELLIGENT_TIERING", "", "ARCHIVE"),
        ("own-key.jpg", "STANDARD", "SSE-C", ""),
        ("notes.txt", "STANDARD", "SSE-S3", ""),
    ]
    text = "".join(f'"images","{key}","5","e","{kind}","{how}","{tier}"\n' for key, kind, how, tier in rows)
    columns = "Bucket, Key, Size, ETag, StorageClass, EncryptionStatus, IntelligentTieringAccessTier"
    store, source = inventory_of(columns, text)
    state, images, _ = run(store, source)
    reasons = {image.key: image.refused.reason for image in images if image.refused}
    assert reasons == {
        "glacier.jpg": FailureReason.ARCHIVED,
        "deep.jpg": FailureReason.ARCHIVED,
        "tier.jpg": FailureReason.ARCHIVED,
        "own-key.jpg": FailureReason.UNREADABLE,
    }
    assert (state.counts.listed, state.counts.ignored_by_suffix) == (7, {"txt": 1})


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ('"other","a.jpg","5","e"\n', "line 1 .* is of another bucket .'other'"),
        ('"images","a.jpg","5","e"\n"images","b.jpg","-5","e"\n', "line 2 .* has a size"),
        ('"images","a.jpg","\u00b2","e"\n', "line 1 .* has a size"),
        ('"images","a.jpg","5","e%0D"\n"images","","5","e"\n', "line 2 .* has a key that is empty"),
        ('"images","a.jpg","5","e\tf"\n', "line 1 .* has an ETag"),
        ('"images","a.jpg","5"\n', "line 1 .* has 3 columns, not 4"),
        ("x" * 70_000, "has over 65,536 bytes"),
        ('"images","notes.txt","5","e"\n', "nothing to embed: all 1 keys are of other kinds .txt 1."),
    ],
)
def test_a_row_of_an_inventory_that_cannot_be_used_is_named(row: str, problem: str) -> None:
    store, source = inventory_of("Bucket, Key, Size, ETag", row)
    with pytest.raises(InvalidInputError, match=problem):
        run(store, source)


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
        ((INVENTORY % "CSV").replace('{"key": "inv/1.csv"}, {"key": "inv/2.csv"}', ""), "names no file"),
        ((INVENTORY % "CSV").replace('"inv/2.csv"', '"inv/2.csv", "size": 1e999'), "not the size of an object"),
        ((INVENTORY % "CSV").replace('"inv/2.csv"', '"inv/2.csv", "size": -1'), "not the size of an object"),
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
