"""A deployment with an index of S3 Vectors: what the table has, the index has, whatever was there before."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from local_pipeline.installation import LAMBDA_PYTHON, WORKER_PYTHON, synthesize
from localaws import EmbeddedCloud
from stepvec.audit.indexed import delete_vectors
from stepvec.rows.indexed import decode_entry, entry_of
from stepvec.rows.item import VectorItem, decode_item, metadata_of
from stepvec.rows.vectors import decode_vector
from stepvec.stack_names import DATA_STACK
from tests.local.conftest import SLOTS, Pipeline, photo
from tests.local.test_audit import audit
from tests.local.test_client import stepvec
from tests.local.test_permissions import _log, taken


class IndexedPipeline(Pipeline):
    """A Pipeline with an index."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        super().__init__(cloud)
        self.index = cloud.outputs[DATA_STACK]["VectorIndexArn"]
        self.vectors = cloud.client("s3vectors")

    def put_photos(self, folder: str, count: int) -> list[str]:
        keys = [f"{folder}/{number}.jpg" for number in range(count)]
        for number, key in enumerate(keys):
            self.put(key, photo(number))
        return keys

    def forget(self, keys: list[str]) -> None:
        """Delete vectors from the index, whose rows stay."""
        self.vectors.delete_vectors(indexArn=self.index, keys=keys)

    def held(self, folder: str) -> dict[str, Any]:
        """The vectors of the folder's images, by key."""
        pages = self.vectors.get_paginator("list_vectors").paginate(
            indexArn=self.index, returnData=True, returnMetadata=True
        )
        found = [vector for page in pages for vector in page["vectors"] if vector["key"].startswith(f"{folder}/")]
        assert len({vector["key"] for vector in found}) == len(found)
        return {vector["key"]: vector for vector in found}

    def rows(self, folder: str) -> dict[str, VectorItem]:
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.deployment.table)
        rows = [decode_item(item) for page in pages for item in page["Items"]]
        return {row.image_id: row for row in rows if row.image_id.startswith(f"{folder}/" if folder else "")}

    def assert_same(self, folder: str) -> dict[str, VectorItem]:
        """The index has the rows' vectors, with what says whose they are, and no others."""
        rows, held = self.rows(folder), self.held(folder)
        assert set(held) == set(rows)
        for key, row in rows.items():
            assert decode_entry(key, held[key]["metadata"]) == entry_of(metadata_of(row))
            np.testing.assert_array_equal(np.array(held[key]["data"]["float32"], np.float32), decode_vector(row))
        return rows


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexedPipeline]:
    assembly = tmp_path_factory.mktemp("indexed")
    # An engine that starts in half of MXNet's time: each of the many short runs loads it.
    synthesize(assembly, {"vector_index": "s3vectors", "vector_type": "float16", "engine": "onnxruntime"})
    with EmbeddedCloud.start(assembly, lambda_python=LAMBDA_PYTHON, worker_python=WORKER_PYTHON, slots=SLOTS) as cloud:
        yield IndexedPipeline(cloud)


def test_every_row_has_its_vector_in_the_index_and_the_report_says_so(pipeline: IndexedPipeline) -> None:
    folder = pipeline.folder()
    pipeline.put_photos(folder, 130)
    run = pipeline.run({"Paths": [folder], "ShardSize": 70})
    assert run.status == "SUCCEEDED"
    assert run.counts() == {"embedded": 130}
    assert run.report.indexed == 130
    assert ", indexed 130." in run.report.message
    assert run.report.cost.usd["s3_vectors"] > 0
    rows = pipeline.assert_same(folder)
    again = pipeline.run({"Paths": [folder]})
    assert (again.counts(), again.report.indexed) == ({"unchanged": 130}, 130)
    # Overwritten, embedded again, or gone from either: each is put right, and nothing else is touched.
    pipeline.put(f"{folder}/0.jpg", photo(1000))
    pipeline.delete_row(f"{folder}/1.jpg")
    pipeline.forget([f"{folder}/2.jpg"])
    third = pipeline.run({"Paths": [folder]})
    assert (third.counts(), third.report.indexed) == ({"embedded": 2, "unchanged": 128}, 130)
    after = pipeline.assert_same(folder)
    assert {key for key in rows if rows[key].created != after[key].created} == {f"{folder}/0.jpg", f"{folder}/1.jpg"}


def test_a_table_that_was_there_before_fills_the_index_without_embedding(pipeline: IndexedPipeline) -> None:
    folder = pipeline.folder()
    keys = pipeline.put_photos(folder, 12)
    pipeline.run({"Paths": [folder]})
    before = pipeline.rows(folder)
    pipeline.forget(keys)
    run = pipeline.run({"Paths": [folder], "ShardSize": 5})
    assert (run.counts(), run.report.indexed) == ({"unchanged": 12}, 12)
    assert pipeline.assert_same(folder) == before


def test_what_is_embedded_again_replaces_its_vector(pipeline: IndexedPipeline) -> None:
    folder = pipeline.folder()
    pipeline.put_photos(folder, 6)
    pipeline.run({"Paths": [folder]})
    before = pipeline.held(folder)
    run = pipeline.run({"Paths": [folder], "Reembed": True})
    assert (run.counts(), run.report.indexed) == ({"embedded": 6}, 6)
    pipeline.assert_same(folder)
    after = pipeline.held(folder)
    assert all(after[key]["metadata"]["Created"] > before[key]["metadata"]["Created"] for key in before)


def test_keys_of_any_characters_and_length(pipeline: IndexedPipeline) -> None:
    folder = pipeline.folder()
    keys = [f"{folder}/{name}.jpg" for name in ("ü" * 300, "new\nline", " +%20&<>'\"", "😀", "k" * 900)]
    for number, key in enumerate(keys):
        pipeline.put(key, photo(number))
    run = pipeline.run({"Paths": [folder]})
    assert (run.counts(), run.report.indexed) == ({"embedded": 5}, 5)
    assert set(pipeline.assert_same(folder)) == set(keys)


def test_a_stem_says_its_key(pipeline: IndexedPipeline) -> None:
    folder = pipeline.folder()
    pipeline.put(f"{folder}/of-{folder}.jpg", photo(1))
    assert pipeline.run({"Paths": [folder], "ImageId": "stem"}).report.indexed == 1
    (found,) = pipeline.vectors.get_vectors(indexArn=pipeline.index, keys=[f"of-{folder}"], returnMetadata=True)[
        "vectors"
    ]
    assert found["metadata"]["Key"] == f"{folder}/of-{folder}.jpg"


@pytest.fixture(scope="module")
def two(pipeline: IndexedPipeline) -> tuple[str, list[str]]:
    """A folder with two photos, embedded and indexed, and their keys: each test leaves it so."""
    folder = pipeline.folder()
    keys = pipeline.put_photos(folder, 2)
    assert pipeline.run({"Paths": [folder]}).report.indexed == 2
    return folder, keys


@pytest.mark.parametrize(
    ("role", "action"),
    [
        ("JobRole", "s3vectors:PutVectors"),
        ("JobRole", "s3vectors:GetVectors"),
        ("ShardImagesRole", "s3vectors:GetVectors"),
        ("VerifyShardRole", "s3vectors:GetVectors"),
    ],
)
def test_without_one_permission_a_run_is_denied(
    pipeline: IndexedPipeline, two: tuple[str, list[str]], role: str, action: str
) -> None:
    folder, keys = two
    # One to be embedded, one to be copied.
    pipeline.delete_row(keys[0])
    pipeline.forget(keys)
    with taken(pipeline.cloud.client("iam"), role, action) as count:
        assert count == 1
        start = int(time.time() * 1000)
        run = pipeline.run({"Paths": [folder]})
    assert run.status == "FAILED"
    told = run.ended.cause + json.dumps(run.failures)
    if role == "VerifyShardRole":
        told = _log(pipeline, "VerifyShardLogs", since=start)
    assert "AccessDenied" in told or "not authorized to perform" in told
    assert pipeline.run({"Paths": [folder]}).report.indexed == 2
    pipeline.assert_same(folder)


def test_an_audit_finds_what_index_and_table_do_not_share_and_deletes_what_has_no_image(
    pipeline: IndexedPipeline,
) -> None:
    folder = pipeline.folder()
    keys = pipeline.put_photos(folder, 6)
    pipeline.run({"Paths": [folder]})
    assert audit(pipeline, folder, "--sample", "0")[:2] == (0, set())
    pipeline.forget(keys[:1])
    pipeline.delete_row(keys[1])
    stale = pipeline.held(folder)[keys[2]]
    metadata = {**stale["metadata"], "Created": "2026-01-01T00:00:00.000+00:00"}
    pipeline.vectors.put_vectors(indexArn=pipeline.index, vectors=[{**stale, "metadata": metadata}])
    pipeline.s3.delete_object(Bucket=pipeline.deployment.image_bucket, Key=keys[3])
    code, found, counts = audit(pipeline, folder, "--sample", "0")
    assert (code, found) == (
        1,
        {
            ("NotIndexed", keys[0]),
            ("ImageWithoutRow", keys[1]),
            ("VectorWithoutRow", keys[1]),
            ("NotIndexed", keys[2]),
            ("RowWithoutImage", keys[3]),
        },
    )
    assert counts["vectors"] == 5
    done = stepvec(pipeline, "audit", folder, "--sample", "0", "--delete-orphans", "--yes")
    assert "Deleted 1 rows, 2 vectors; kept 0" in " ".join(done.stderr.split())
    assert set(pipeline.held(folder)) == {keys[2], keys[4], keys[5]}
    assert set(pipeline.rows(folder)) == {keys[0], keys[2], keys[4], keys[5]}
    assert pipeline.run({"Paths": [folder]}).counts() == {"embedded": 1, "unchanged": 4}
    pipeline.assert_same(folder)
    assert audit(pipeline, folder, "--sample", "0")[:2] == (0, set())


def test_the_vector_of_a_row_that_is_made_anew_while_it_is_deleted_stays(pipeline: IndexedPipeline) -> None:
    folder = pipeline.folder()
    keys = pipeline.put_photos(folder, 3)
    pipeline.run({"Paths": [folder]})
    pipeline.delete_row(keys[0])
    delete_vectors(pipeline.deployment, keys[:2])
    assert set(pipeline.held(folder)) == {keys[1], keys[2]}
    pipeline.forget([keys[1]])
    pipeline.run({"Paths": [folder]})
    pipeline.assert_same(folder)


def test_the_index_is_searched_by_key_and_by_photo(pipeline: IndexedPipeline, tmp_path: Path) -> None:
    folder = pipeline.folder()
    keys = [f"{folder}/{number}.jpg" for number in range(5)]
    for number, key in enumerate(keys):
        # Pictures of no other test's: those would be as near.
        pipeline.put(key, photo(9000 + number))
    pipeline.put(f"{folder}/copy.jpg", photo(9002, quality=90))
    pipeline.run({"Paths": [folder]})
    rows = pipeline.rows("")
    vectors = {key: decode_vector(row) for key, row in rows.items()}

    def nearest(vector: Any, without: str = "") -> list[str]:
        unit = {key: other / np.linalg.norm(other) for key, other in vectors.items() if key != without}
        return sorted(unit, key=lambda key: -float(unit[key] @ vector))[:3]

    by_key = stepvec(pipeline, "search", keys[2], "--index", "s3vectors", "--top", "3", "--json")
    answer = json.loads(by_key.stdout)
    assert answer["hits"][0]["key"] == f"{folder}/copy.jpg"
    assert [hit["key"] for hit in answer["hits"]] == nearest(vectors[keys[2]], keys[2])
    assert answer["recall"] is None
    file = tmp_path / "query.jpg"
    file.write_bytes(photo(9002))
    of_photo = stepvec(pipeline, "search", str(file), "--index", "s3vectors", "--top", "1")
    assert of_photo.returncode == 0, of_photo.stderr
    similarity, key = of_photo.stdout.split()
    assert key in rows
    assert float(similarity) > 0.999
    refused = stepvec(pipeline, "search", keys[2], "--index", "s3vectors", "--top", "101")
    assert "S3 Vectors gives 100 at most" in " ".join(refused.stderr.split())
