"""Tables to export: a stand-in for DynamoDB and S3 that boto3 speaks to over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import numpy as np
import pytest

from stepvec.export.format import ExportOrigin
from stepvec.rows.item import VectorItem, encode_item
from stepvec.rows.vectors import encode_vector
from testkit.storage.client import Storage, running_storage
from tests.fakes import WRITTEN

MODEL = "resnet18_v2/a81db45fd7b7/standard-1"
OTHER = "resnet18_v1/0123456789ab/standard-1"
TABLE = "vectors"
ORIGIN = ExportOrigin(TABLE, "eu-west-1", "images")
DIMENSION = 512


@pytest.fixture(scope="session")
def storage() -> Iterator[Storage]:
    with running_storage() as running:
        yield running


@pytest.fixture
def client(storage: Storage) -> Callable[[str], Any]:
    """What makes clients of the stand-in, which has no rows."""
    storage.reset()
    session: Any = boto3.Session("a", "b", region_name="eu-west-1")
    return lambda service: session.client(service, endpoint_url=storage.endpoint)


def row(name: str, seed: int = 0, **changes: Any) -> VectorItem:
    data_type = changes.pop("data_type", "float32")
    dimension = changes.pop("dimension", DIMENSION)
    vector = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    encoded = encode_vector(vector, data_type)
    values: dict[str, Any] = {
        "image_id": name, "vector": encoded.data, "data_type": data_type, "dimension": dimension, "created": WRITTEN,
        "key": name, "etag": f"etag-of-{name}", "model": MODEL, "run": "run-1", "modified": WRITTEN,
        "scale": encoded.scale, **changes,
    }  # fmt: skip
    return VectorItem(**values)


def fill(dynamodb: Any, rows: list[VectorItem]) -> None:
    for item in rows:
        dynamodb.put_item(TableName=TABLE, Item=encode_item(item))
