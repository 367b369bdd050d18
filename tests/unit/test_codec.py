from typing import Any

import pytest

from stepvec import codec
from stepvec.errors import RecordError
from stepvec.runs.outcome import FailureReason, ImageFailure
from stepvec.runs.reports import StageSeconds
from stepvec.runs.steps import ListingCounts, ListingCursor, ListingState

FAILURE = ImageFailure("a\n\u2028ü.jpg", "id", FailureReason.TOO_LARGE, "m")


def test_a_record_round_trips_with_its_types() -> None:
    read = codec.from_json(ImageFailure, codec.to_json(FAILURE), where="x")
    assert read == FAILURE
    assert isinstance(read.reason, FailureReason)


def test_nested_records_round_trip() -> None:
    counts = ListingCounts(3, 10, 2, {"txt": 2})
    state = ListingState("r", "2026-11-22T00:00:00Z", counts, ListingCursor(1, "k", 2, 1), done=False)
    assert codec.from_json(ListingState, codec.to_json(state), where="x") == state


def test_whole_numbers_serve_as_floats() -> None:
    read = codec.from_document(StageSeconds, {"download": 1, "decode": 2.5, "embed": 0, "write": 0}, where="x")
    assert read.download == 1.0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"key": 1}, "ImageFailure.key"),
        ({"reason": "Nope"}, "ImageFailure.reason"),
        ({"message": None}, "ImageFailure.message"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(RecordError, match=named):
        codec.from_document(ImageFailure, {**codec.to_document(FAILURE), **change}, where="failures.jsonl")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "{}"])
def test_what_is_no_record_is_a_record_error_that_says_where(text: str) -> None:
    with pytest.raises(RecordError, match="failures.jsonl"):
        codec.from_json(ImageFailure, text, where="failures.jsonl")


def test_true_is_no_number() -> None:
    with pytest.raises(RecordError, match="listed"):
        codec.from_document(ListingCounts, {"listed": True}, where="x")
