"""A deploy in the middle of a run: of a changed worker, then of a changed model. Nothing that was listed is lost."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_pipeline.installation import LAMBDA_PYTHON, WORKER_PYTHON, synthesize
from localaws import EmbeddedCloud
from tests.local.conftest import Pipeline, photo, wait_until

IMAGES = 3
CHANGED = "f" * 64
"""The tag of the changed worker's image."""


def with_changed_worker(assembly: Path, folder: Path) -> Path:
    """The assembly as the CDK app writes it after a change of the worker: the image has another hash and tag."""
    shutil.copytree(assembly, folder)
    (manifest,) = folder.glob("StepvecPipeline*.assets.json")
    ((tag, image),) = json.loads(manifest.read_text())["dockerImages"].items()
    with (folder / image["source"]["directory"] / "stepvec_worker" / "__main__.py").open("a") as file:
        file.write("\n# Another version.\n")
    for path in folder.glob("*.json"):
        # The folder keeps its name: only tags change.
        text = re.sub(rf"(?<!asset\.){tag}", CHANGED, path.read_text())
        path.write_text(text)
    return folder


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An assembly that submits a shard's job when the one before has ended, as a run of many shards does."""
    folder = tmp_path_factory.mktemp("deploys") / "cdk.out"
    synthesize(folder, {"max_concurrency": 1})
    return folder


@pytest.fixture(scope="module")
def pipeline(one_by_one: Path) -> Iterator[Pipeline]:
    with EmbeddedCloud.start(
        one_by_one,
        lambda_python=LAMBDA_PYTHON,
        worker_python=WORKER_PYTHON,
        slots=1,
        environment={"STEPVEC_PROGRESS_SECONDS": "0.1"},
    ) as cloud:
        yield Pipeline(cloud)


def revisions(pipeline: Pipeline) -> dict[int, str]:
    """Status of each revision of the job definition."""
    found = pipeline.cloud.client("batch").describe_job_definitions()["jobDefinitions"]
    return {one["revision"]: one["status"] for one in found}


def deploy_in_the_middle(pipeline: Pipeline, assembly: Path) -> Any:
    """Start a run of three shards, one at a time, and deploy when the first is verified; its report."""
    folder = pipeline.folder()
    for number in range(IMAGES):
        pipeline.put(f"{folder}/{number}.jpg", photo(number))
    run = pipeline.start({"Paths": [folder], "ShardSize": IMAGES // 3})
    prefix = f"runs/{run.name}/verified/"
    bucket = pipeline.deployment.work_bucket
    wait_until(lambda: pipeline.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"] >= 1, seconds=240)
    pipeline.cloud.deploy(assembly)
    assert pipeline.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"] < 3, "the run was over too early"
    ended = run.wait()
    assert ended.status == "SUCCEEDED", (ended.error, ended.cause)
    return folder, ended.report


@pytest.mark.timeout(900)
def test_a_changed_worker_then_a_changed_model(pipeline, one_by_one, tmp_path):
    changed_worker = with_changed_worker(one_by_one, tmp_path / "worker")
    folder, report = deploy_in_the_middle(pipeline, changed_worker)
    assert (report.listed, report.embedded, report.missing) == (IMAGES, IMAGES, 0)
    assert revisions(pipeline) == {1: "ACTIVE", 2: "ACTIVE"}

    before = pipeline.row(f"{folder}/0.jpg").model
    changed_model = tmp_path / "model"
    synthesize(changed_model, {"max_concurrency": 1, "preprocessing": "sample-1"})
    folder, report = deploy_in_the_middle(pipeline, changed_model)
    assert (report.listed, report.embedded, report.missing) == (IMAGES, IMAGES, 0)
    assert {pipeline.row(f"{folder}/{number}.jpg").model for number in range(IMAGES)} == {before}

    # The next run is of the new version, and so embeds all of them again.
    ended = pipeline.run({"Paths": [folder]})
    assert ended.counts() == {"embedded": IMAGES}
    assert {pipeline.row(f"{folder}/{number}.jpg").model for number in range(IMAGES)} == {
        str(before).replace("standard-1", "sample-1")
    }
