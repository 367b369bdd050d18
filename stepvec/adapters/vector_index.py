"""The index of vectors in S3 Vectors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

from stepvec.adapters.retries import Retries
from stepvec.errors import StorageError
from stepvec.limits import VECTORS_PER_DELETE, VECTORS_PER_GET, VECTORS_PER_LIST
from stepvec.pacing import batches
from stepvec.rows.indexed import DATA_TYPE, IndexedVector, VectorToIndex, decode_entry, encode_metadata, vector_key

Answer = TypeVar("Answer")

MAX_ATTEMPTS: Final = 40
"""Times that a request is sent: the waits add up to some five minutes, for runs that the index cannot keep up with."""

_RETRIES: Final = Retries(
    "S3 Vectors",
    frozenset(
        {
            "TooManyRequestsException",
            "ServiceUnavailableException",
            "InternalServerException",
            "RequestTimeoutException",
            "ThrottlingException",
        }
    ),
    MAX_ATTEMPTS,
)
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_S3VectorBuckets_PutVectors.html, and what any API may answer"""


class VectorIndex:
    """Reads, writes and deletes the vectors of one index, trying again what S3 Vectors refused for now.

    Writes are strongly consistent, and a put replaces what the key had: whatever is sent twice is there once. `client`
    must not try again itself (stepvec.adapters.clients). Safe to use from several threads. `puts` and `put_bytes` add
    up what PutVectors is charged for.
    """

    def __init__(self, client: Any, arn: str, *, sleep: Callable[[float], None] = time.sleep, threads: int = 8) -> None:
        self._client = client
        self.arn = arn
        self._sleep = sleep
        self._threads = threads
        self._lock = threading.Lock()
        self.puts = 0
        self.put_bytes = 0

    def entries(self, image_ids: Iterable[str]) -> Iterator[dict[str, IndexedVector]]:
        """The entries that exist, by image id, one dict for each 100 distinct ids, in their order.

        Requests run in threads, a bounded number ahead of the caller. Raises StorageError.
        """
        with ThreadPoolExecutor(self._threads, thread_name_prefix="entries") as pool:
            for wave in batches(batches(dict.fromkeys(image_ids), VECTORS_PER_GET), self._threads * 2):
                yield from pool.map(self._entries, wave)

    def put(self, vectors: Sequence[VectorToIndex]) -> None:
        """Put up to VECTORS_PER_PUT vectors in one request, each over what its key had. Raises StorageError."""
        by_key = {vector_key(vector.entry.image_id): vector for vector in vectors}
        document = [
            {"key": key, "data": {DATA_TYPE: vector.numbers}, "metadata": encode_metadata(vector.entry)}
            for key, vector in by_key.items()
        ]
        self._answer("putting vectors", lambda: self._client.put_vectors(indexArn=self.arn, vectors=document))
        with self._lock:
            self.puts += 1
            self.put_bytes += sum(vector.logical_bytes for vector in by_key.values())

    def delete(self, image_ids: Iterable[str]) -> None:
        """Delete the images' vectors; those that are not there are no error. Raises StorageError."""
        for keys in batches(map(vector_key, image_ids), VECTORS_PER_DELETE):
            self._answer("deleting vectors", partial(self._client.delete_vectors, indexArn=self.arn, keys=keys))

    def listed(self, *, segment: int = 0, segments: int = 1) -> Iterator[list[IndexedVector]]:
        """Every entry of one of `segments` parts of the index, a page at a time, in no order. Raises StorageError."""
        more: dict[str, Any] = {}
        while True:
            request = partial(
                self._client.list_vectors,
                indexArn=self.arn,
                maxResults=VECTORS_PER_LIST,
                segmentCount=segments,
                segmentIndex=segment,
                returnMetadata=True,
                **more,
            )
            answer: Any = self._answer("listing vectors", request)
            yield [decode_entry(found["key"], found.get("metadata")) for found in answer["vectors"]]
            if not answer.get("nextToken"):
                return
            more = {"nextToken": answer["nextToken"]}

    def nearest(self, numbers: Sequence[float], *, top: int, model: str) -> list[tuple[IndexedVector, float]]:
        """The `top` entries of this model that are nearest, each with its cosine similarity. Raises StorageError."""
        answer = self._answer(
            "querying vectors",
            lambda: self._client.query_vectors(
                indexArn=self.arn,
                topK=top,
                queryVector={DATA_TYPE: list(numbers)},
                filter={"Model": {"$eq": model}},
                returnMetadata=True,
                returnDistance=True,
            ),
        )
        return [
            (decode_entry(found["key"], found.get("metadata")), 1.0 - float(found["distance"]))
            for found in answer["vectors"]
        ]

    def _entries(self, image_ids: list[str]) -> dict[str, IndexedVector]:
        by_key = {vector_key(image_id): image_id for image_id in image_ids}
        answer = self._answer(
            "reading vectors",
            lambda: self._client.get_vectors(indexArn=self.arn, keys=list(by_key), returnMetadata=True),
        )
        found = ((by_key[vector["key"]], vector) for vector in answer["vectors"])
        return {image_id: decode_entry(vector["key"], vector.get("metadata")) for image_id, vector in found}

    def _answer(self, what: str, request: Callable[[], Answer]) -> Answer:
        place = f"{what} of {self.arn.rpartition(':bucket/')[2]}"
        return _RETRIES.answer(place, request, starved=lambda why: _starved(place, why), sleep=self._sleep)


def _starved(what: str, why: str) -> StorageError:
    return StorageError(
        f"S3 Vectors failed at {what}, {MAX_ATTEMPTS} times: {why}.",
        remedy="If the index is throttled, lower max_concurrency (`stepvec plan` says to what); "
        "then start again: only what is missing is done.",
    )
