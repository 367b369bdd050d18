"""Draws the template's CloudWatch dashboard into docs/images/dashboard.png, with the metrics of real local runs.

The widgets, their order, titles and metrics are read from the synthesized template; the values are the EMF lines that
the functions logged while some runs went through the embedded AWS. Metrics that AWS itself would emit have no values
here, and none are made up: panels without a value, texts too, are left out, and those below move up. `make dashboard`
installs matplotlib beside the project's environment and runs this.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from local_pipeline.cloud import deployment_of
from local_pipeline.installation import LAMBDA_PYTHON, ROOT, WORKER_PYTHON, synthesize
from localaws import EmbeddedCloud
from stepvec.client.deployment import Deployment
from stepvec.client.runs import Run
from stepvec.stack_names import PIPELINE_STACK
from testkit.photos import PHOTO_SIZE, picture
from tools.dashboard_picture import draw, identity

PICTURE: Final = ROOT / "docs" / "images" / "dashboard.png"
RECORDED: Final = ROOT / "build" / "dashboard.json"


def record() -> dict[str, Any]:
    """Run the pipeline for some minutes; the dashboard's body, the data points, and how each run ended."""
    with tempfile.TemporaryDirectory(prefix="stepvec-assembly-") as folder:
        synthesize(Path(folder))
        template = json.loads((Path(folder) / f"{PIPELINE_STACK}.template.json").read_text())
        with EmbeddedCloud.start(
            Path(folder), lambda_python=LAMBDA_PYTHON, worker_python=WORKER_PYTHON, slots=2, environment={}
        ) as cloud:
            runs = _run(deployment_of(cloud))
            time.sleep(2)  # The last log lines are copied behind the functions.
            points = list(_points(cloud.client("logs")))
    return {"body": _body(template), "points": points, "runs": runs}


def _run(deployment: Deployment) -> list[str]:
    def put(key: str, body: bytes) -> None:
        deployment.client("s3").put_object(Bucket=deployment.image_bucket, Key=key, Body=body)

    def run(name: str, **run_input: Any) -> None:
        execution = Run(deployment, name)
        execution.start(run_input)
        ends.append(execution.wait().status)
        print(f"{name}: {ends[-1]}", flush=True)

    ends: list[str] = []
    for path in (ROOT / "photos" / "wardrobe").rglob("*.jpg"):
        put(f"photos/{path.name}", path.read_bytes())
    run("photos", Paths=["photos"], MaxFailures=1, ShardSize=10)
    run("photos-again", Paths=["photos"], MaxFailures=2)
    for number in range(1000):
        put(f"many/{number}.jpg", picture(number, size=PHOTO_SIZE))
    run("many", Paths=["many"], ShardSize=40)
    good = picture(1, size=PHOTO_SIZE)
    for name, body in (("text", b"no picture"), ("cut", good[:900]), ("empty", b""), ("good", good)):
        put(f"broken/{name}.jpg", body)
    run("broken", Paths=["broken"])
    for number in range(1000, 1150):
        put(f"many/{number}.jpg", picture(number, size=PHOTO_SIZE))
    run("many-again", Paths=["many"], ShardSize=30)
    return ends


def _points(logs: Any) -> Iterator[dict[str, Any]]:
    """The data points of the EMF lines, as CloudWatch takes them out of the functions' logs."""
    for groups in logs.get_paginator("describe_log_groups").paginate():
        for group in groups["logGroups"]:
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                for event in page["events"]:
                    if '"_aws"' in event["message"]:
                        yield from _points_of(json.loads(event["message"]))


def _points_of(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = {name: line[name] for name in names}
            for metric in directive["Metrics"]:
                values = line[metric["Name"]]
                name = identity(directive["Namespace"], metric["Name"], dimensions)
                for value in values if isinstance(values, list) else [values]:
                    yield {"metric": name, "time": line["_aws"]["Timestamp"] / 1000, "value": value}


def _body(template: dict[str, Any]) -> dict[str, Any]:
    """The dashboard's body; what CloudFormation fills in is "(token)"."""
    (found,) = (part for part in template["Resources"].values() if part["Type"] == "AWS::CloudWatch::Dashboard")
    parts = found["Properties"]["DashboardBody"]["Fn::Join"][1]
    body: dict[str, Any] = json.loads("".join(part if isinstance(part, str) else "(token)" for part in parts))
    return body


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redraw", action="store_true", help="draw what was recorded before, without running")
    os.environ.pop("PYTHONPATH", None)  # Lambdas and worker have environments of their own.
    if not parser.parse_args().redraw:
        RECORDED.write_text(json.dumps(record()))
    draw(json.loads(RECORDED.read_text()), PICTURE)
