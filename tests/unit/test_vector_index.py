"""Vectors in an index: keys, metadata, requests within S3 Vectors' limits, and what is tried again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from stepvec import limits
from stepvec.adapters.vector_index import MAX_ATTEMPTS, VectorIndex
from stepvec.errors import AccessDeniedError, StorageError
from stepvec.rows.indexed import (
    HASHED,
    NON_FILTERABLE,
    VECTORS_A_PUT,
    IndexedVector,
    VectorToIndex,
    decode_entry,
    encode_metadata,
    entry_of,
    logical_bytes,
    put_gb,
    vector_key,
)
from stepvec.rows.item import VectorItem, metadata_of
from stepvec.rows.model import DIMENSIONS

ARN = "arn:aws:s3vectors:us-east-1:123456789012:bucket/vectors/index/dimension-4"
MODEL = "resnet18_v2/a81db45fd7b7/standard-1"
ROW = VectorItem(
    "a/1.jpg", bytes(15) + b"\x3f", "float32", 4, datetime(2026, 11, 26, tzinfo=UTC), "a/1.jpg", "e", MODEL, "r"
)
ENTRY = entry_of(metadata_of(ROW))


def vector(image_id: str = "a/1.jpg", first: float = 1.0) -> VectorToIndex:
    return VectorToIndex(replace(ENTRY, image_id=image_id, key=image_id), [first, 0.0, 0.0, 0.5])


def refusal(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "PutVectors",
    )


class Service:
    """S3 Vectors in memory; answers with `errors` first. `requests` has how many vectors each was about."""

    def __init__(self, errors: Iterable[Exception] = ()) -> None:
        self.errors = list(errors)
        self.vectors: dict[str, Any] = {}
        self.requests: list[int] = []

    def _count(self, number: int, most: int) -> None:
        assert 1 <= number <= most
        self.requests.append(number)
        if self.errors:
            raise self.errors.pop(0)

    def put_vectors(self, *, indexArn: str, vectors: list[Any]) -> Any:
        self._count(len(vectors), limits.VECTORS_PER_PUT)
        self.vectors.update({one["key"]: one for one in vectors})
        return {}

    def get_vectors(self, *, indexArn: str, keys: list[str], returnMetadata: bool) -> Any:
        self._count(len(keys), limits.VECTORS_PER_GET)
        assert len(set(keys)) == len(keys)
        return {"vectors": [self.vectors[key] for key in keys if key in self.vectors]}

    def delete_vectors(self, *, indexArn: str, keys: list[str]) -> Any:
        self._count(len(keys), limits.VECTORS_PER_DELETE)
        for key in keys:
            self.vectors.pop(key, None)
        return {}


def index_of(service: Service, waits: list[float] | None = None) -> VectorIndex:
    return VectorIndex(service, ARN, sleep=(waits if waits is not None else []).append)


def entries(index: VectorIndex, ids: Iterable[str]) -> dict[str, IndexedVector]:
    return {name: entry for batch in index.entries(ids) for name, entry in batch.items()}


def test_a_vector_that_is_put_is_read_back_by_the_images_id() -> None:
    service = Service()
    index = index_of(service)
    ids = [f"{number}.jpg" for number in range(250)]
    for first in range(0, 250, VECTORS_A_PUT):
        index.put([vector(name) for name in ids[first : first + VECTORS_A_PUT]])
    found = entries(index, [*ids, "gone.jpg", "0.jpg"])
    assert list(found) == ids
    assert found["7.jpg"] == replace(ENTRY, image_id="7.jpg", key="7.jpg")
    assert service.requests == [100, 100, 50, 100, 100, 51]
    assert (index.puts, index.put_bytes) == (3, sum(vector(name).logical_bytes for name in ids))
    index.delete(ids[1:])
    assert list(entries(index, ids)) == ["0.jpg"]


def test_a_key_is_put_once_in_a_request_and_the_last_vector_counts() -> None:
    service = Service()
    index_of(service).put([vector(first=1.0), vector(first=2.0)])
    assert service.vectors["a/1.jpg"]["data"] == {"float32": [2.0, 0.0, 0.0, 0.5]}


@pytest.mark.parametrize(
    "error",
    [
        refusal("TooManyRequestsException", 429),
        refusal("RequestTimeoutException", 408),
        refusal("ServiceUnavailableException", 503),
        refusal("InternalServerException", 500),
        refusal("ThrottlingException", 400),
        ReadTimeoutError(endpoint_url="x"),
    ],
    ids=lambda error: type(error).__name__ if not isinstance(error, ClientError) else error.response["Error"]["Code"],
)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    service, waits = Service([error] * (MAX_ATTEMPTS - 1)), list[float]()
    index_of(service, waits).put([vector()])
    assert list(service.vectors) == ["a/1.jpg"]
    assert len(waits) == MAX_ATTEMPTS - 1
    starved = Service([error] * MAX_ATTEMPTS)
    with pytest.raises(StorageError, match=f"{MAX_ATTEMPTS} times.*vectors/index/dimension-4|dimension-4.*times"):
        index_of(starved).put([vector()])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refusal("AccessDeniedException", 403), AccessDeniedError),
        (refusal("ValidationException", 400), StorageError),
        (refusal("NotFoundException", 404), StorageError),
        (refusal("KmsDisabledException", 400), StorageError),
        (refusal("ServiceQuotaExceededException", 402), StorageError),
    ],
)
def test_what_will_not_pass_is_told_at_once(error: ClientError, expected: type[StorageError]) -> None:
    service, waits = Service([error]), list[float]()
    with pytest.raises(expected, match="S3 Vectors"):
        index_of(service, waits).put([vector()])
    assert waits == []


def test_an_entry_is_of_the_row_with_its_etag_model_and_time() -> None:
    row = metadata_of(ROW)
    assert decode_entry("a/1.jpg", encode_metadata(ENTRY)).is_of(row)
    assert not ENTRY.is_of(replace(row, etag="f"))
    assert not ENTRY.is_of(replace(row, model="m"))
    # Embedded again by the same model: another vector where its type is another.
    assert not ENTRY.is_of(replace(row, created="2026-11-26T00:00:00.001+00:00"))
    assert not decode_entry("a/1.jpg", None).is_of(row)


@pytest.mark.parametrize(
    ("image_id", "key"),
    [
        ("a/1.jpg", "a/1.jpg"),
        ("k" * 1024, "k" * 1024),
        ("ü" * 512, "ü" * 512),
        ("k" * 1025, None),
        ("ü" * 513, None),
        ("a/\ud800.jpg", None),
        ("new\nline <&> 😀", "new\nline <&> 😀"),
    ],
)
def test_an_id_is_the_key_if_it_can_be_one(image_id: str, key: str | None) -> None:
    found = vector_key(image_id)
    assert found == key if key else found.startswith(HASHED)
    assert len(found) <= limits.VECTOR_KEY_CHARACTERS
    found.encode()
    entry = replace(ENTRY, image_id=image_id, key="a/1.jpg")
    back = decode_entry(found, json.loads(json.dumps(encode_metadata(entry))))
    assert back.key == "a/1.jpg"
    assert back.image_id == image_id.encode("utf-8", "replace").decode()


def test_ids_that_are_hashed_stay_apart() -> None:
    assert len({vector_key(name) for name in ("k" * 1025, "k" * 1026, "l" * 1025, "\ud800", "\ud801")}) == 5


def test_metadata_stays_within_the_limits_whatever_the_key() -> None:
    longest = replace(ENTRY, image_id="i" * limits.PARTITION_KEY_BYTES, key="ü" * 512, etag="e" * 38)
    metadata = encode_metadata(longest)
    filterable = {name: value for name, value in metadata.items() if name not in NON_FILTERABLE}
    assert set(filterable) == {"Model"}
    assert len(json.dumps(filterable).encode()) < limits.VECTOR_FILTERABLE_BYTES
    assert len(json.dumps(metadata).encode()) < limits.VECTOR_METADATA_BYTES
    assert len(metadata) <= limits.VECTOR_METADATA_KEYS
    assert len(NON_FILTERABLE) <= limits.VECTOR_NON_FILTERABLE_KEYS
    assert min(limits.VECTORS_PER_PUT, limits.VECTORS_PER_GET) >= VECTORS_A_PUT
    # A run that puts as many vectors as an index takes is far from as many requests as it takes.
    assert limits.INDEX_VECTORS_PER_SECOND / VECTORS_A_PUT < limits.INDEX_WRITES_PER_SECOND / 10
    # A float32 as JSON has up to 25 characters.
    largest = VECTORS_A_PUT * (25 * limits.VECTOR_DIMENSION + limits.VECTOR_METADATA_BYTES)
    assert largest < limits.VECTOR_REQUEST_BYTES
    assert max(DIMENSIONS.values()) <= limits.VECTOR_DIMENSION


def test_what_is_charged_is_numbers_key_and_metadata_and_128_kb_a_put_at_least() -> None:
    metadata = sum(len(name) + len(value) for name, value in encode_metadata(ENTRY).items())
    assert vector().logical_bytes == logical_bytes(4, ENTRY) == 4 * 4 + len("a/1.jpg") + metadata
    assert put_gb(2, 1) == 2 * 128 * 1024 / 1e9
    assert put_gb(2, 10**6) == 0.001


@pytest.mark.parametrize(
    ("shape", "bound", "limit"),
    [
        ("PutVectorsInputList", "max", limits.VECTORS_PER_PUT),
        ("DeleteVectorsInputList", "max", limits.VECTORS_PER_DELETE),
        ("GetVectorsInputList", "max", limits.VECTORS_PER_GET),
        ("ListVectorsMaxResults", "max", limits.VECTORS_PER_LIST),
        ("ListVectorsSegmentCount", "max", limits.VECTOR_LIST_SEGMENTS),
        ("VectorKey", "max", limits.VECTOR_KEY_CHARACTERS),
        ("Dimension", "max", limits.VECTOR_DIMENSION),
        ("NonFilterableMetadataKeys", "max", limits.VECTOR_NON_FILTERABLE_KEYS),
    ],
)
def test_the_limits_are_those_of_botocores_model(shape: str, bound: str, limit: int) -> None:
    model = botocore.session.get_session().get_service_model("s3vectors")
    assert model.shape_for(shape).metadata[bound] == limit
