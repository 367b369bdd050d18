"""A changed worker, then a changed model, are deployed while a run goes on: it ends as the version that began it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from local_pipeline.installation import LAMBDA_PYTHON, WORKER_PYTHON, synthesize
from localaws import EmbeddedCloud
from stepvec.stack_names import PIPELINE_STACK
from tests.local.conftest import Pipeline, photo, wait_until

IMAGES = 12
SHARD_SIZE = 2


def with_another_worker(assembly: Path, folder: Path) -> Path:
    """The assembly with a variable more in the job definition: a new revision, as a new image makes one."""
    shutil.copytree(assembly, folder)
    file = folder / f"{PIPELINE_STACK}.template.json"
    template = json.loads(file.read_text())
    (job,) = (one for one in template["Resources"].values() if one["Type"] == "AWS::Batch::JobDefinition")
    job["Properties"]["ContainerProperties"]["Environment"].append({"Name": "STEPVEC_DECODE_SECONDS", "Value": "59"})
    file.write_text(json.dumps(template))
    return folder


def revisions(cloud: EmbeddedCloud) -> dict[int, str]:
    """Status of each revision of the job definition."""
    found = cloud.client("batch").describe_job_definitions()["jobDefinitions"]
    return {int(one["revision"]): str(one["status"]) for one in found}


def test_a_deploy_in_the_middle_of_a_run_loses_nothing(assembly: Path, tmp_path: Path) -> None:
    another_worker = with_another_worker(assembly, tmp_path / "worker")
    synthesize(tmp_path / "model", {"preprocessing": "sample-1"})
    environment = {"STEPVEC_PROGRESS_SECONDS": "0.1"}
    with EmbeddedCloud.start(
        assembly, lambda_python=LAMBDA_PYTHON, worker_python=WORKER_PYTHON, slots=1, environment=environment
    ) as cloud:
        pipeline = Pipeline(cloud)
        before = cloud.outputs[PIPELINE_STACK]["Model"]
        folder = pipeline.folder()
        keys = [f"{folder}/{number}.jpg" for number in range(IMAGES)]
        for number, key in enumerate(keys):
            pipeline.put(key, photo(number))
        run = pipeline.start({"Paths": [folder], "ShardSize": SHARD_SIZE})
        wait_until(lambda: run.progress().embedded >= SHARD_SIZE, seconds=240)
        cloud.deploy(another_worker)
        cloud.deploy(tmp_path / "model")
        assert run.ended() is None, "the deploys are not in the middle of the run"
        ended = run.wait()
        assert cloud.outputs[PIPELINE_STACK]["Model"] != before
        assert revisions(cloud) == {1: "ACTIVE", 2: "ACTIVE", 3: "ACTIVE"}
        report: Any = ended.report
        assert (ended.status, report.embedded, report.missing, report.failed) == ("SUCCEEDED", IMAGES, 0, 0), ended
        # Each row is of the version that began the run, which is also what was counted.
        assert report.model == before
        assert {pipeline.row(key).model for key in keys} == {before}
