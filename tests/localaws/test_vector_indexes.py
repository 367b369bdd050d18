"""Contract: S3 Vectors as its documentation has it. What moto lacks is in localaws/patches/vector_indexes.py."""

from __future__ import annotations

import math
import uuid
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from localaws.clients import make_client
from localaws.iam.credentials import Credentials
from localaws.patches import vector_indexes
from stepvec import limits


@pytest.fixture(scope="module")
def client(sample) -> Any:
    """One that sends what a test says, valid or not."""
    cloud = sample.cloud
    credentials = Credentials(cloud.access_key_id, cloud.secret_access_key)
    return make_client(
        "s3vectors",
        endpoint_url=cloud.endpoint_url,
        region=cloud.region,
        credentials=credentials,
        validate_parameters=False,
    )


@pytest.fixture
def index(client) -> str:
    bucket = f"vectors-{uuid.uuid4().hex}"
    client.create_vector_bucket(vectorBucketName=bucket)
    answer = client.create_index(
        vectorBucketName=bucket,
        indexName="first",
        dataType="float32",
        dimension=2,
        distanceMetric="cosine",
        metadataConfiguration={"nonFilterableMetadataKeys": ["ETag"]},
    )
    return str(answer["indexArn"])


def put(client: Any, index: str, *vectors: tuple[str, list[float]], **metadata: Any) -> None:
    entries = [{"key": key, "data": {"float32": data}, "metadata": metadata} for key, data in vectors]
    client.put_vectors(indexArn=index, vectors=entries)


def refused(client: Any, operation: str, **request: Any) -> str:
    with pytest.raises(ClientError) as failed:
        getattr(client, operation)(**request)
    status = failed.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return f"{status} {failed.value.response['Error']['Code']}"


def test_an_index_is_made_once_and_says_what_it_is(client, index):
    """[s3vectors_indexes]"""
    found = client.get_index(indexArn=index)["index"]
    assert (found["dimension"], found["distanceMetric"], found["dataType"]) == (2, "cosine", "float32")
    assert found["metadataConfiguration"] == {"nonFilterableMetadataKeys": ["ETag"]}
    assert index.endswith("/index/first")
    bucket = index.split("/index/")[0]
    request = {"indexName": "first", "dataType": "float32", "dimension": 2, "distanceMetric": "cosine"}
    assert refused(client, "create_index", vectorBucketArn=bucket, **request) == "409 ConflictException"
    name = bucket.rpartition("/")[2]
    assert refused(client, "delete_vector_bucket", vectorBucketName=name) == "409 ConflictException"
    assert refused(client, "delete_vector_bucket", vectorBucketArn=bucket) == "409 ConflictException"
    client.delete_index(indexArn=index)
    client.delete_vector_bucket(vectorBucketArn=bucket)
    assert refused(client, "get_vector_bucket", vectorBucketName=name) == "404 NotFoundException"


@pytest.mark.parametrize("key", ["a b", "ü/日本", "new\nline", "<&>\"'", "😀", "k" * 1024, "ü" * 1024])
def test_a_vector_of_any_key_is_put_read_replaced_and_deleted(client, index, key):
    """[s3vectors_keys]"""
    put(client, index, (key, [1.0, 0.1]), ETag="one")
    put(client, index, (key, [0.5, 2.0]), ETag="two")
    request = {"indexArn": index, "keys": [key, "gone"]}
    (found,) = client.get_vectors(**request, returnData=True, returnMetadata=True)["vectors"]
    assert found == {"key": key, "data": {"float32": [0.5, 2.0]}, "metadata": {"ETag": "two"}}
    assert client.get_vectors(**request)["vectors"] == [{"key": key}]
    client.delete_vectors(indexArn=index, keys=[key, "gone"])
    assert client.get_vectors(**request)["vectors"] == []


def test_numbers_are_float32(client, index):
    put(client, index, ("a", [0.1, 1 / 3]))
    (found,) = client.get_vectors(indexArn=index, keys=["a"], returnData=True)["vectors"]
    assert found["data"]["float32"] == pytest.approx([0.1, 1 / 3], rel=1e-7)
    assert found["data"]["float32"] != [0.1, 1 / 3]


@pytest.mark.parametrize(
    "vector",
    [
        {"key": "k" * 1025},
        {"key": ""},
        {"data": {"float32": [0.0, 0.0]}},
        {"data": {"float32": [1.0]}},
        {"data": {"float32": [1.0, 1e39]}},
        {"metadata": {"filterable": "x" * 2048}},
        {"metadata": {"ETag": "x" * 40 * 1024}},
        {"metadata": {str(number): 1 for number in range(51)}},
    ],
    ids=["long key", "no key", "zeros", "short", "no float32", "filterable", "metadata", "many keys"],
)
def test_a_vector_that_aws_does_not_take_is_refused_and_its_request_with_it(client, index, vector):
    """[s3vectors_puts]"""
    good = {"key": "good", "data": {"float32": [1.0, 1.0]}, "metadata": {"ETag": "x" * 3000}}
    request = {"indexArn": index, "vectors": [good, {**good, "key": "bad", **vector}]}
    assert refused(client, "put_vectors", **request) == "400 ValidationException"
    assert client.list_vectors(indexArn=index)["vectors"] == []
    client.put_vectors(indexArn=index, vectors=[good])


@pytest.mark.parametrize(("operation", "most"), [("put_vectors", 500), ("get_vectors", 100), ("delete_vectors", 500)])
def test_requests_have_so_many_vectors_and_no_more(client, index, operation, most):
    """[s3vectors_puts] [s3vectors_keys]"""

    def request(count: int) -> dict[str, Any]:
        keys = [str(number) for number in range(count)]
        vectors = [{"key": key, "data": {"float32": [1.0, 2.0]}} for key in keys]
        return {"indexArn": index, **({"vectors": vectors} if operation == "put_vectors" else {"keys": keys})}

    getattr(client, operation)(**request(most))
    assert refused(client, operation, **request(most + 1)) == "400 ValidationException"
    assert refused(client, operation, **request(0)) == "400 ValidationException"


def test_a_listing_has_pages_and_segments(client, index):
    """[s3vectors_pages]"""
    keys = {f"{number:04}" for number in range(1200)}
    for first in range(0, 1200, 400):
        put(client, index, *((key, [1.0, 2.0]) for key in sorted(keys)[first : first + 400]))
    paginator = client.get_paginator("list_vectors")
    for segments in (1, 4):
        found: list[str] = []
        for segment in range(segments):
            pages = list(
                paginator.paginate(
                    indexArn=index, segmentCount=segments, segmentIndex=segment, PaginationConfig={"PageSize": 100}
                )
            )
            assert all(len(page["vectors"]) <= 100 for page in pages)
            found += [vector["key"] for page in pages for vector in page["vectors"]]
        assert sorted(found) == sorted(keys)
    assert refused(client, "list_vectors", indexArn=index, maxResults=1001) == "400 ValidationException"
    assert refused(client, "list_vectors", indexArn=index, segmentCount=17) == "400 ValidationException"


def test_a_query_gives_the_nearest_first_with_distances_and_filtered(client, index):
    """[s3vectors_queries]"""
    for number in range(8):
        angle = number * math.pi / 16
        vector = (f"v{number}", [3 * math.cos(angle), 3 * math.sin(angle)])
        put(client, index, vector, Model="even" if number % 2 == 0 else "odd", ETag="e")
    asked = {"indexArn": index, "queryVector": {"float32": [1.0, 0.0]}}
    answer = client.query_vectors(**asked, topK=3, returnDistance=True, returnMetadata=True)
    assert [vector["key"] for vector in answer["vectors"]] == ["v0", "v1", "v2"]
    distances = [vector["distance"] for vector in answer["vectors"]]
    assert distances == pytest.approx([1 - math.cos(number * math.pi / 16) for number in range(3)], abs=1e-6)
    assert answer["distanceMetric"] == "cosine"
    assert answer["vectors"][0]["metadata"] == {"Model": "even", "ETag": "e"}
    odd = client.query_vectors(**asked, topK=2, filter={"Model": {"$eq": "odd"}})
    assert odd["vectors"] == [{"key": "v1"}, {"key": "v3"}]
    assert refused(client, "query_vectors", **asked, topK=101) == "400 ValidationException"
    assert refused(client, "query_vectors", **asked, topK=1, filter={"ETag": "e"}) == "400 ValidationException"


def test_an_index_that_is_not_there_is_404(client, index):
    assert refused(client, "get_vectors", indexArn=f"{index}x", keys=["a"]) == "404 NotFoundException"


def test_its_limits_are_those_of_botocores_model_and_ours():
    model = botocore.session.get_session().get_service_model("s3vectors")
    shapes = {"put": "PutVectorsInputList", "get": "GetVectorsInputList", "delete": "DeleteVectorsInputList"}
    shapes |= {"list": "ListVectorsMaxResults", "segments": "ListVectorsSegmentCount"}
    assert {name: model.shape_for(shape).metadata["max"] for name, shape in shapes.items()} == {
        name: most for name, most in vector_indexes.MOST.items() if name in shapes
    }
    assert vector_indexes.MOST["top"] == limits.VECTORS_PER_QUERY
    assert model.shape_for("VectorKey").metadata["max"] == vector_indexes.KEY_CHARACTERS
    assert (vector_indexes.METADATA_BYTES, vector_indexes.FILTERABLE_BYTES, vector_indexes.METADATA_KEYS) == (
        limits.VECTOR_METADATA_BYTES,
        limits.VECTOR_FILTERABLE_BYTES,
        limits.VECTOR_METADATA_KEYS,
    )
