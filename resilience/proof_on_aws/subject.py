"""The deployment that is asked: what it is, runs in it, and waiting for them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError

from resilience.proof_on_aws.places import Place
from stepvec.client.deployment import Deployment
from stepvec.client.runs import Run, RunEnd
from testkit.photos import picture

T = TypeVar("T")

RUN_SECONDS: Final = 45 * 60
"""An instance takes minutes to start, and Spot may make a job wait."""
ALARM_SECONDS: Final = 120
TICK_SECONDS: Final = 0.5


@dataclass(slots=True)
class Subject:
    """The deployment that is asked, as the checks leave it to each other."""

    place: Place
    deployment: Deployment
    buckets: list[str] = field(default_factory=list)
    """Buckets of the proof's own, to be deleted in the end."""

    def machine(self) -> dict[str, Any]:
        """The state machine's definition."""
        states = self.place.client("stepfunctions")
        answer = states.describe_state_machine(stateMachineArn=self.deployment.state_machine_arn)
        definition: dict[str, Any] = json.loads(answer["definition"])
        return definition

    def start(self, images: int, *, bucket: str | None = None) -> Run:
        """A run over new pictures under a prefix of its own."""
        name = f"proof-{uuid.uuid4().hex[:12]}"
        for number in range(images):
            self.place.client("s3").put_object(
                Bucket=bucket or self.deployment.image_bucket, Key=f"{name}/{number}.jpg", Body=picture(number)
            )
        run = Run(self.deployment, name)
        # Images may fail without failing the run: only what is missing is of interest here.
        run.start({"Paths": [name], "MaxFailures": images})
        return run


def wait_for(what: str, ask: Callable[[], T | None], seconds: float = RUN_SECONDS) -> T:
    """What `ask` answers once it is neither None nor false. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        time.sleep(TICK_SECONDS)
    raise TimeoutError(f"waited {seconds:.0f} s for {what}")


def job_parameters(definition: dict[str, Any]) -> dict[str, Any]:
    """Parameters of the state that submits the shards' jobs."""
    children = definition["States"]["EmbedShards"]["ItemProcessor"]["States"]
    (parameters,) = (
        state["Parameters"] for state in children.values() if "batch:submitJob" in state.get("Resource", "")
    )
    return dict(parameters)


def end_of(run: Run) -> RunEnd:
    """How the run ended, once it has."""
    return wait_for(f"the end of {run.name}", run.ended)


def in_words(ended: RunEnd) -> str:
    """The end in a line, for a finding."""
    if ended.report is None:
        return f"{ended.status} {ended.error} {ended.cause}, no report"
    errors = "".join(f"; {error}" for error in [*ended.report.shard_errors.values()][:1])
    counts = f"found {ended.report.found}, missing {ended.report.missing}{errors}"
    return f"{ended.status} {ended.error}, {counts}".replace(" ,", ",")


def empty_and_delete(place: Place, bucket: str) -> None:
    """Delete a bucket of the proof's with every version in it. One that is gone already is no error."""
    s3 = place.client("s3")
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
        s3.delete_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
