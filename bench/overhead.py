"""Where the time of a one-photo run goes, from StartExecution to SUCCEEDED, on the embedded AWS.

A run of one photo is all overhead: what is measured is the pipeline's, not the network's. The first run is cold
(each Lambda function starts its runtime); the others are warm. Each is of a photo of its own.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from local_pipeline.cloud import deployment_of
from local_pipeline.installation import LAMBDA_PYTHON, WORKER_PYTHON, synthesize
from localaws import EmbeddedCloud
from stepvec.adapters.object_store import ObjectStore
from stepvec.client.deployment import Deployment
from stepvec.client.runs import Run
from stepvec.runs.reports import ShardReport
from testkit.photos import PHOTO_SIZE, picture
from testkit.tables import markdown_table, write_section

TARGET_SECONDS: Final = 10.0
STEPS: Final = ("ListImages", "ShardImages", "EmbedShards", "VerifyRun")
SUCCEEDED: Final = "SUCCEEDED"


def measure(deployment: Deployment, number: int) -> dict[str, float]:
    """Seconds of each step of a run of one photo, and in all."""
    prefix = f"bench-{number}"
    photo = picture(number, size=PHOTO_SIZE)
    deployment.client("s3").put_object(Bucket=deployment.image_bucket, Key=f"{prefix}/1.jpg", Body=photo)
    run = Run(deployment, prefix)
    start = time.perf_counter()
    run.start({"Paths": [prefix]})
    ended = run.wait()
    seconds = {"in all": time.perf_counter() - start}
    if ended.status != SUCCEEDED:
        raise RuntimeError(f"the run failed: {ended.error} {ended.cause}")
    seconds |= _step_seconds(deployment, prefix)
    report = ObjectStore(deployment.client("s3")).read_record(ShardReport, run.layout.shard_report(0))
    seconds["worker"] = report.seconds
    stages = report.stages
    seconds["worker at work"] = stages.download + stages.decode + stages.embed + stages.write
    return seconds


def _step_seconds(deployment: Deployment, run: str) -> dict[str, float]:
    """Seconds from entering to leaving each state, by the execution's history."""
    arn = Run(deployment, run).arn
    events = deployment.client("stepfunctions").get_execution_history(executionArn=arn, maxResults=1000)["events"]
    entered: dict[str, datetime] = {}
    seconds: dict[str, float] = {}
    for event in events:
        details: Any = event.get("stateEnteredEventDetails") or event.get("stateExitedEventDetails")
        if not details or details["name"] not in STEPS:
            continue
        if "stateEnteredEventDetails" in event:
            entered[details["name"]] = event["timestamp"]
        else:
            seconds[details["name"]] = (event["timestamp"] - entered[details["name"]]).total_seconds()
    return seconds


def main() -> None:
    """Measure, print, and write the table into docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=6, help="runs in all; the first is the cold one")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        synthesize(Path(folder))
        with EmbeddedCloud.start(
            Path(folder), lambda_python=LAMBDA_PYTHON, worker_python=WORKER_PYTHON, slots=1
        ) as cloud:
            measured = [measure(deployment_of(cloud), number) for number in range(runs)]
    cold, warm = measured[0], measured[1:]
    names = {
        "ListImages": "ListImages",
        "ShardImages": "ShardImages",
        "EmbedShards": "EmbedShards: Batch job and VerifyShard",
        "worker": "— of it the worker: Python, MXNet, model, shard",
        "worker at work": "— of that download, decode, embed, write",
        "VerifyRun": "VerifyRun",
        "in all": "**StartExecution to SUCCEEDED**",
    }
    rows = [
        [label, f"{cold[name]:.2f}", f"{statistics.median(run[name] for run in warm):.2f}"]
        for name, label in names.items()
    ]
    table = markdown_table(["step", "first run, s", f"median of {len(warm)} more, s"], rows)
    print(table)
    write_section("overhead", table)
    verdict = "under" if cold["in all"] < TARGET_SECONDS else "OVER"
    warm_seconds = statistics.median(run["in all"] for run in warm)
    print(f"\none photo: cold {cold['in all']:.2f} s, warm {warm_seconds:.2f} s, {verdict} {TARGET_SECONDS:.0f} s")


if __name__ == "__main__":
    main()
