"""StartOnUpload: what a batch of messages becomes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.list_images.lister import list_images
from lambdas.list_images.manifest import open_manifest
from lambdas.list_images.sources import PrefixSource
from lambdas.start_on_upload.uploads import dump_manifest, parse_upload, read_batch
from stepvec.errors import RecordError
from stepvec.limits import EXECUTION_NAME_CHARACTERS
from stepvec.runs.images import SuffixRule
from stepvec.runs.layout import S3Uri
from stepvec.runs.listing import ListedImage
from stepvec.runs.steps import ListingCounts, ListingCursor, ListingState
from tests.fakes import LAYOUT, MemoryStore

BUCKET = "images"


def event(key: str, *, etag: str = "e", size: int = 9, sequencer: str = "0A", **changes: Any) -> dict[str, Any]:
    """As in https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2021-11-12T00:00:00Z",
        "region": "ca-central-1",
        "resources": ["arn:aws:s3:::images"],
        "detail": {
            "version": "0",
            "bucket": {"name": BUCKET},
            "object": {"key": key, "size": size, "etag": etag, "version-id": "v", "sequencer": sequencer},
            "reason": "PutObject",
        },
        **changes,
    }


def message(number: int, body: Any) -> dict[str, Any]:
    return {"messageId": f"m{number}", "body": body if isinstance(body, str) else json.dumps(body)}


def messages(*bodies: Any) -> list[dict[str, Any]]:
    return [message(number, body) for number, body in enumerate(bodies)]


def test_each_image_is_there_once_with_size_and_etag() -> None:
    batch = read_batch(messages(event("b.jpg"), event("a b+ü%20.JPG", etag="x", size=5), event("b.jpg")), bucket=BUCKET)
    assert batch.images == (ListedImage("a b+ü%20.JPG", 5, "x"), ListedImage("b.jpg", 9, "e"))
    assert not batch.unread


def test_of_several_uploads_of_a_key_the_last_counts_in_whatever_order_they_come() -> None:
    # 0B comes before 0A00 in no order but that of numbers padded on the right.
    uploads = [event("a.jpg", etag="1", sequencer="0A"), event("a.jpg", etag="2", sequencer="0A01"),
               event("a.jpg", etag="3", sequencer="0B")]  # fmt: skip
    for order in (uploads, uploads[::-1]):
        assert read_batch(messages(*order), bucket=BUCKET).images == (ListedImage("a.jpg", 9, "3"),)


@pytest.mark.parametrize("key", ["notes.txt", "folder/", "noimage", "a.jpg/"])
def test_what_is_no_image_is_left_out_and_not_brought_again(key: str) -> None:
    batch = read_batch(messages(event(key), event("a.jpg")), bucket=BUCKET)
    assert (len(batch.images), batch.ignored, batch.unread) == (1, 1, {})


@pytest.mark.parametrize("more", [(), ("raw",), ("(none)",), ("*",)])
@pytest.mark.parametrize("key", [
    "a.jpg", "A.JPG", "a.heic", "a.jpg?v=2", "A.JPEG%3Fv=2", "a.png:large", "a.raw", "A.RAW", "a.txt", "0a1b2c",
    "._a.jpg", "__MACOSX/a.jpg", "a.jpg/", ".jpg",
])  # fmt: skip
def test_an_upload_is_taken_as_a_listing_takes_it(key: str, more: tuple[str, ...]) -> None:
    rule = SuffixRule(more)
    store = MemoryStore()
    for name in (key, "b.jpg"):
        store.add_image(BUCKET, name, size=9, etag="e")
    listed = list_images(
        ListingState("r", "", ListingCounts(), ListingCursor(), done=False),
        PrefixSource(store, BUCKET, ("",), suffixes=rule), store, LAYOUT, suffixes=rule, time_is_short=lambda: False,
    )  # fmt: skip
    batch = read_batch(messages(event(key), event("b.jpg")), bucket=BUCKET, suffixes=rule)
    assert (len(batch.images), batch.ignored) == (listed.counts.listed, listed.counts.ignored)


def test_an_empty_object_is_left_out() -> None:
    # Many tools make a file by an empty upload first, and the real one next.
    assert read_batch(messages(event("a.jpg", size=0)), bucket=BUCKET).images == ()


@pytest.mark.parametrize(
    "body",
    [
        "", "no JSON", "[]", "3", "null", "{}", '{"source": "aws.s3"}',
        event("a.jpg", source="aws.ec2"),
        event("a.jpg") | {"detail-type": "Object Deleted"},
        event("a.jpg", detail={"bucket": {"name": "another"}, "object": {"key": "a.jpg", "size": 1, "etag": "e"}}),
        event("a.jpg", detail={"bucket": {"name": BUCKET}, "object": {"key": "a.jpg", "size": "1", "etag": "e"}}),
        event("a.jpg", detail={"bucket": {"name": BUCKET}, "object": {"key": "a.jpg", "size": True, "etag": "e"}}),
        event("a.jpg", detail={"bucket": {"name": BUCKET}, "object": {"key": 7, "size": 1, "etag": "e"}}),
        event("a.jpg", detail={"bucket": {"name": BUCKET}, "object": {"key": "a" * 1025, "size": 1, "etag": "e"}}),
        event("a.jpg", detail={"bucket": {"name": BUCKET}, "object": ["a.jpg"]}),
        # Half of a character: no key of S3, and no manifest could hold it.
        event("\ud800.jpg"),
        # S3's own notification, as it comes without EventBridge.
        {"Records": [{"s3": {"bucket": {"name": BUCKET}, "object": {"key": "a.jpg"}}}]},
    ],
)  # fmt: skip
def test_a_message_that_is_no_upload_is_named_and_the_others_go_through(body: Any) -> None:
    batch = read_batch(messages(event("a.jpg"), body, event("b.jpg")), bucket=BUCKET)
    assert set(batch.unread) == {"m1"}
    assert [image.key for image in batch.images] == ["a.jpg", "b.jpg"]
    with pytest.raises(RecordError):
        parse_upload(message(0, body)["body"], bucket=BUCKET)


def test_the_name_depends_on_the_uploads_alone() -> None:
    one, two = event("a.jpg"), event("b.jpg")
    name = read_batch(messages(one, two), bucket=BUCKET).name
    redelivered = [{**record, "messageId": "other"} for record in messages(two, one, one)]
    assert read_batch(redelivered, bucket=BUCKET).name == name
    for other in ([one], [one, event("b.jpg", etag="new")], [one, event("b.jpg", sequencer="0C")]):
        assert read_batch(messages(*other), bucket=BUCKET).name != name
    assert len(name) <= EXECUTION_NAME_CHARACTERS
    assert name.replace("-", "").isalnum()


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)))
def test_the_manifest_is_read_as_it_was_written(keys: list[str]) -> None:
    # "/.jpg" is a name without suffix, and no image: a batch of it alone has no manifest.
    bodies = [event("a.jpg"), *(event(f"{key}.jpg") for key in keys)]
    batch = read_batch(messages(*bodies), bucket=BUCKET)
    store, uri = MemoryStore(), S3Uri("work", "uploads/x.jsonl")
    store.files[uri.bucket, uri.key] = dump_manifest(batch.images, bucket=BUCKET)
    source = open_manifest(store, uri, image_bucket=BUCKET, buckets=(BUCKET, "work"))
    read = [image for page in source.pages(ListingCursor()) for image in page.objects]
    assert tuple(read) == batch.images
    assert not batch.unread
