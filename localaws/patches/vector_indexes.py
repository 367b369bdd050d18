"""S3 Vectors, of which moto has buckets, indexes and a dict of vectors: here their limits, pages, segments and queries.

Limits are those of botocore's model, and of
https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-limitations.html. A query compares with every vector:
where AWS may overlook one, this never does.
"""

from __future__ import annotations

import heapq
import json
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from moto.core.responses import ActionResult, EmptyResult
from moto.s3vectors import urls
from moto.s3vectors.exceptions import ValidationError, VectorBucketAlreadyExists
from moto.s3vectors.models import S3VectorsBackend, Vector
from moto.s3vectors.responses import S3VectorsResponse

KEY_CHARACTERS: Final = 1_024
MOST: Final = {"put": 500, "delete": 500, "get": 100, "list": 1_000, "top": 100, "segments": 16}
METADATA_BYTES: Final = 40 * 1024
FILTERABLE_BYTES: Final = 2 * 1024
METADATA_KEYS: Final = 50
_DEFAULT_PAGE: Final = 500

_Numbers = npt.NDArray[np.float32]


def index_as_aws() -> None:
    """A name is given once in a bucket, and an index keeps which of the metadata no query filters by."""
    create, respond = S3VectorsBackend.create_index, S3VectorsResponse.create_index

    def create_index(
        backend: Any, vector_bucket_name: str, vector_bucket_arn: str, index_name: str, **rest: Any
    ) -> None:
        bucket = backend.get_vector_bucket(vector_bucket_name=vector_bucket_name, vector_bucket_arn=vector_bucket_arn)
        if any(index.index_name == index_name for index in bucket.indexes.values()):
            # moto has a class for buckets alone.
            error = VectorBucketAlreadyExists()
            error.message = "An index with the specified name already exists"
            raise error
        create(backend, vector_bucket_name, vector_bucket_arn, index_name, **rest)

    def answer(response: Any) -> Any:
        respond(response)
        name, arn = response._get_param("vectorBucketName"), response._get_param("vectorBucketArn")
        bucket = response.s3vectors_backend.get_vector_bucket(vector_bucket_name=name, vector_bucket_arn=arn)
        index = bucket.indexes[f"{bucket.vector_bucket_arn}/index/{response._get_param('indexName')}"]
        index.metadata_configuration = response._get_param("metadataConfiguration") or {}
        return ActionResult({"indexArn": index.index_arn})

    def delete_vector_bucket(response: Any) -> Any:
        # moto knows it by its name alone, and deletes none by its ARN without a word.
        name, arn = response._get_param("vectorBucketName"), response._get_param("vectorBucketArn")
        bucket = response.s3vectors_backend.get_vector_bucket(vector_bucket_name=name, vector_bucket_arn=arn)
        response.s3vectors_backend.delete_vector_bucket(vector_bucket_name=bucket.vector_bucket_name)
        return EmptyResult()

    S3VectorsBackend.create_index = create_index
    S3VectorsResponse.create_index = answer
    S3VectorsResponse.delete_vector_bucket = delete_vector_bucket


def put_as_aws() -> None:
    """PutVectors: 500 at a time, keys of 1,024 characters, finite numbers, no vector of zeros, metadata in bounds."""
    original = S3VectorsBackend.put_vectors

    def put_vectors(backend: Any, vector_bucket_name: str, index_name: str, index_arn: str, vectors: list[Any]) -> None:
        index = backend.get_index(vector_bucket_name, index_name=index_name, index_arn=index_arn)
        _check_count("vectors", vectors, MOST["put"])
        for vector in vectors:
            _check_key(vector.get("key"))
            _check_numbers(index, vector)
            _check_metadata(index, vector)
        original(backend, vector_bucket_name, index_name, index_arn, vectors)
        for vector in vectors:
            # As float32, in a tenth of the memory of a list.
            index.vectors[vector["key"]].data = np.array(vector["data"]["float32"], np.float32)

    S3VectorsBackend.put_vectors = put_vectors


def read_by_key() -> None:
    """GetVectors: 100 at a time, in the time of those and not of all; DeleteVectors: 500 at a time."""
    delete = S3VectorsBackend.delete_vectors

    def get_vectors(
        backend: Any, vector_bucket_name: str, index_name: str, index_arn: str, keys: list[str]
    ) -> list[Vector]:
        index = backend.get_index(vector_bucket_name, index_name=index_name, index_arn=index_arn)
        _check_count("keys", keys, MOST["get"])
        return [index.vectors[key] for key in dict.fromkeys(keys) if key in index.vectors]

    def delete_vectors(backend: Any, vector_bucket_name: str, index_name: str, index_arn: str, keys: list[str]) -> None:
        _check_count("keys", keys, MOST["delete"])
        delete(backend, vector_bucket_name, index_name, index_arn, keys)

    def respond(response: Any) -> Any:
        arguments = _place(response)
        keys = response._get_param("keys")
        found = response.s3vectors_backend.get_vectors(**arguments, keys=keys)
        return ActionResult({"vectors": [_answer(response, vector) for vector in found]})

    S3VectorsBackend.get_vectors = get_vectors
    S3VectorsBackend.delete_vectors = delete_vectors
    S3VectorsResponse.get_vectors = respond


def list_by_page() -> None:
    """ListVectors in pages and segments, which moto has not."""

    def respond(response: Any) -> Any:
        index = response.s3vectors_backend.get_index(**_place(response))
        most = response._get_param("maxResults") or _DEFAULT_PAGE
        count, segment = response._get_param("segmentCount") or 1, response._get_param("segmentIndex") or 0
        if not (1 <= most <= MOST["list"] and 1 <= count <= MOST["segments"] and 0 <= segment < count):
            raise ValidationError("maxResults, segmentCount or segmentIndex is out of range")
        after = response._get_param("nextToken") or ""
        # A copy first: other threads put vectors meanwhile.
        keys = sorted(key for key in list(index.vectors) if zlib.crc32(key.encode()) % count == segment)
        first = bisect_right(keys, after) if after else 0
        page = keys[first : first + most]
        vectors = [index.vectors[key] for key in page if key in index.vectors]
        more = {"nextToken": page[-1]} if first + most < len(keys) else {}
        return ActionResult({"vectors": [_answer(response, vector) for vector in vectors], **more})

    S3VectorsResponse.list_vectors = respond


def query() -> None:
    """QueryVectors, which moto has not: the nearest by the index's metric; filters of $eq, $ne, $in, $and and $or."""

    def respond(response: Any) -> Any:
        index = response.s3vectors_backend.get_index(**_place(response))
        top = response._get_param("topK")
        if not 1 <= top <= MOST["top"]:
            raise ValidationError(f"topK must be between 1 and {MOST['top']}, inclusive")
        asked = response._get_param("queryVector") or {}
        _check_numbers(index, {"key": "queryVector", "data": asked})
        condition = response._get_param("filter") or {}
        _check_filter(index, condition)
        numbers = np.array(asked["float32"], np.float32)
        distance = _DISTANCES[index.distance_metric]
        # A copy first: other threads put vectors meanwhile.
        taken = [vector for vector in list(index.vectors.values()) if _matches(condition, vector.metadata or {})]
        measured = [(distance(numbers, vector.data), vector.key, vector) for vector in taken]
        nearest = heapq.nsmallest(top, measured, key=lambda one: one[:2])
        with_distance = response._get_bool_param("returnDistance", False)
        with_metadata = response._get_bool_param("returnMetadata", False)
        return ActionResult(
            {
                "distanceMetric": index.distance_metric,
                "vectors": [
                    {
                        "key": key,
                        **({"distance": found} if with_distance else {}),
                        **({"metadata": vector.metadata} if with_metadata else {}),
                    }
                    for found, key, vector in nearest
                ],
            }
        )

    S3VectorsResponse.query_vectors = respond
    urls.url_paths["{0}/QueryVectors$"] = S3VectorsResponse.dispatch


def _place(response: Any) -> dict[str, Any]:
    bucket, index, arn = (response._get_param(name) for name in ("vectorBucketName", "indexName", "indexArn"))
    response._validate_index_params(arn, index, bucket)
    return {"vector_bucket_name": bucket, "index_name": index, "index_arn": arn}


def _answer(response: Any, vector: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {"key": vector.key}
    if response._get_bool_param("returnData", False):
        answer["data"] = {"float32": vector.data.tolist()}
    if response._get_bool_param("returnMetadata", False):
        answer["metadata"] = vector.metadata
    return answer


def _check_count(name: str, found: list[Any], most: int) -> None:
    if not 1 <= len(found) <= most:
        raise ValidationError(
            f"1 validation error detected. Value with length {len(found)} at '/{name}' failed to satisfy constraint: "
            f"Member must have length between 1 and {most}, inclusive"
        )


def _check_key(key: Any) -> None:
    if not isinstance(key, str) or not 1 <= len(key) <= KEY_CHARACTERS:
        raise ValidationError(f"A key must have between 1 and {KEY_CHARACTERS} characters")


def _check_numbers(index: Any, vector: Mapping[str, Any]) -> None:
    numbers = (vector.get("data") or {}).get("float32") or []
    if len(numbers) != index.dimension:
        raise ValidationError(
            f"Invalid record for key '{vector['key']}': vector must have length {index.dimension}, "
            f"but has length {len(numbers)}"
        )
    with np.errstate(over="ignore"):
        stored = np.array(numbers, np.float32)
    if not np.isfinite(stored).all():
        raise ValidationError(f"Invalid record for key '{vector['key']}': a number is no float32")
    if index.distance_metric == "cosine" and not stored.any():
        raise ValidationError(f"Invalid record for key '{vector['key']}': a zero vector has no cosine distance")


def _check_metadata(index: Any, vector: Mapping[str, Any]) -> None:
    metadata = vector.get("metadata") or {}
    apart = (getattr(index, "metadata_configuration", None) or {}).get("nonFilterableMetadataKeys") or []
    filterable = {name: value for name, value in metadata.items() if name not in apart}
    if len(metadata) > METADATA_KEYS:
        raise ValidationError(f"Invalid record for key '{vector['key']}': more than {METADATA_KEYS} metadata keys")
    if _size(filterable) > FILTERABLE_BYTES:
        raise ValidationError(
            f"Invalid record for key '{vector['key']}': Filterable metadata must have at most {FILTERABLE_BYTES} bytes"
        )
    if _size(metadata) > METADATA_BYTES:
        raise ValidationError(
            f"Invalid record for key '{vector['key']}': Metadata must have at most {METADATA_BYTES} bytes"
        )


def _size(metadata: Mapping[str, Any]) -> int:
    return len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode()) if metadata else 0


def _check_filter(index: Any, condition: Mapping[str, Any]) -> None:
    apart = (getattr(index, "metadata_configuration", None) or {}).get("nonFilterableMetadataKeys") or []
    for name in _names(condition):
        if name in apart:
            raise ValidationError(f"Invalid filter: {name} is not filterable")


def _names(condition: Mapping[str, Any]) -> Iterator[str]:
    for name, value in condition.items():
        if name in ("$and", "$or"):
            for part in value:
                yield from _names(part)
        else:
            yield name


def _matches(condition: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    return all(_holds(name, value, metadata) for name, value in condition.items())


def _holds(name: str, value: Any, metadata: Mapping[str, Any]) -> bool:
    if name == "$and":
        return all(_matches(part, metadata) for part in value)
    if name == "$or":
        return any(_matches(part, metadata) for part in value)
    asked = value if isinstance(value, dict) else {"$eq": value}
    return all(_compare(operator, operand, metadata.get(name)) for operator, operand in asked.items())


def _compare(operator: str, operand: Any, found: Any) -> bool:
    values = found if isinstance(found, list) else [found]
    if operator == "$eq":
        return operand in values
    if operator == "$ne":
        return operand not in values
    if operator == "$in":
        return any(value in operand for value in values)
    raise ValidationError(f"Invalid filter: {operator} is not known here")


def _cosine(first: _Numbers, second: _Numbers) -> float:
    return 1.0 - float(first @ second) / float(np.linalg.norm(first) * np.linalg.norm(second))


def _euclidean(first: _Numbers, second: _Numbers) -> float:
    return float(((first - second) ** 2).sum())


_DISTANCES: Final[dict[str, Callable[[_Numbers, _Numbers], float]]] = {"cosine": _cosine, "euclidean": _euclidean}

PATCHES: Final[dict[str, Callable[[], None]]] = {
    "s3vectors_indexes": index_as_aws,
    "s3vectors_puts": put_as_aws,
    "s3vectors_keys": read_by_key,
    "s3vectors_pages": list_by_page,
    "s3vectors_queries": query,
}
