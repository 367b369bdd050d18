"""Runs the real pipeline with the worker in its real container, and checks what the container may do.

    python -m tools.image.check build/image [--record]

Everything is as in `stepvec local run`, but Batch's jobs are containers: read-only, without capabilities, not root.
Each of the CPU's engines embeds the photos. Ends with one line, and with exit code 1 if anything in it is not as it
must be. --record writes docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local_pipeline.cloud import deployment_of
from local_pipeline.installation import LAMBDA_PYTHON, ROOT, WORKER_PYTHON, synthesize
from local_pipeline.photos import collect_photos, upload_photos
from localaws import EmbeddedCloud
from localaws.batch.container_engine import HARDENED, ContainerEngine
from stepvec.client.runs import Run
from testkit.tables import markdown_table, write_section

PHOTOS: Final = ROOT / "build" / "photos" / "skimage" / "data"
ENGINES: Final = (("mxnet", "float32"), ("openvino", "float32"), ("openvino", "bf16"))
"""With the precisions that need no calibration. Where a processor has no bf16, it is float32 again, with a warning."""
FIRST_VECTOR: Final = "first vector"
"""As the worker logs it."""

# Printed by the image's own Python, in a container with a job's options.
PROBE: Final = """
import json, os
def can_write(folder):
    try:
        open(folder + "/probe", "w").close()
        return True
    except OSError:
        return False
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps({
    "uid": os.getuid(),
    "gid": os.getgid(),
    "capabilities": int(status["CapEff"], 16) | int(status["CapPrm"], 16) | int(status["CapBnd"], 16),
    "no_new_privileges": int(status["NoNewPrivs"]),
    "writable": [folder for folder in ("/", "/etc", "/opt/stepvec", "/usr/local/lib") if can_write(folder)],
    "tmp": can_write("/tmp"),
}))
"""


@dataclass(frozen=True, slots=True)
class ShardRun:
    """What came of the photos. `first_vector_seconds` is None if the worker never said so."""

    photos: int
    status: str
    embedded: int
    found: int
    first_vector_seconds: float | None
    worker_seconds: float | None
    log: list[str]


def probe(engine: ContainerEngine) -> dict[str, Any]:
    """What a container with a job's options is and may do."""
    answer: dict[str, Any] = json.loads(
        _ask(engine, "run", "--rm", *HARDENED, "--entrypoint", "python", engine.image, "-c", PROBE)
    )
    return answer


def image_megabytes(engine: ContainerEngine) -> float:
    """Size of the image's layers, unpacked."""
    return int(_ask(engine, "image", "inspect", "--format", "{{.Size}}", engine.image)) / 1e6


def _ask(engine: ContainerEngine, *arguments: str) -> str:
    """What the engine answers. Ends the program with the engine's own words where it cannot."""
    result = subprocess.run([str(engine.program), *arguments], check=False, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"error: containers cannot run here ({shlex.join(arguments[:2])}):\n{result.stderr}")
    return result.stdout


def run_shard(engine: ContainerEngine, settings: Mapping[str, Any]) -> ShardRun:
    """Embed the demo's photos as one shard, by a deployment of these settings, with Batch's job in a container."""
    # Left out: its TIFFs, one of which fails in every run. Here every photo must become a row.
    photos = {key: path for key, path in collect_photos([PHOTOS]).items() if path.suffix not in (".tif", ".tiff")}
    with tempfile.TemporaryDirectory(prefix="stepvec-image-") as folder:
        synthesize(Path(folder), settings)
        with EmbeddedCloud.start(
            Path(folder), lambda_python=LAMBDA_PYTHON, worker_python=WORKER_PYTHON, slots=1, container_engine=engine
        ) as cloud:
            deployment = deployment_of(cloud)
            upload_photos(cloud.client("s3"), deployment.image_bucket, photos, lambda: None)
            run = Run(deployment, "image-check")
            run.start({"Paths": ["photos"]})
            ended = run.wait()
            batch = cloud.client("batch")
            # One shard, so one job; none if the run failed before it.
            job = next(iter(_jobs(batch)), None)
            events = _log(cloud.client("logs"), batch, job) if job else []
    first = next((event for event in events if _message(event).get("message") == FIRST_VECTOR), None)
    return ShardRun(
        photos=len(photos),
        status=" ".join(filter(None, (ended.status, ended.error, ended.cause))),
        embedded=ended.report.embedded if ended.report else 0,
        found=ended.report.found if ended.report else 0,
        # By Batch's and CloudWatch's clocks, as one would measure it on AWS: the engine's own start is in it.
        first_vector_seconds=(first["timestamp"] - job["startedAt"]) / 1000 if first and job else None,
        worker_seconds=_message(first)["seconds_since_start"] if first else None,
        log=[str(event["message"]) for event in events],
    )


def _jobs(batch: Any) -> list[dict[str, Any]]:
    (queue,) = batch.describe_job_queues()["jobQueues"]
    ids = [
        summary["jobId"]
        for status in ("SUCCEEDED", "FAILED")
        for summary in batch.list_jobs(jobQueue=queue["jobQueueArn"], jobStatus=status)["jobSummaryList"]
    ]
    jobs: list[dict[str, Any]] = batch.describe_jobs(jobs=ids)["jobs"]
    return jobs


def _log(logs: Any, batch: Any, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    (definition,) = batch.describe_job_definitions(jobDefinitions=[job["jobDefinition"]])["jobDefinitions"]
    group = definition["containerProperties"]["logConfiguration"]["options"]["awslogs-group"]
    stream = job["container"].get("logStreamName")
    if not stream:
        return []
    answer = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
    events: list[dict[str, Any]] = answer["events"]
    return events


def _message(event: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a structured log line; none for any other line."""
    try:
        fields = json.loads(event["message"])
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def problems(rights: Mapping[str, Any], shard: ShardRun) -> list[str]:
    """Everything that is not as it must be."""
    wrong = {
        "the container runs as root": rights["uid"] == 0 or rights["gid"] == 0,
        f"the container can write to {rights['writable']}": bool(rights["writable"]),
        "the container cannot write to /tmp": not rights["tmp"],
        f"the container has capabilities {rights['capabilities']:x}": rights["capabilities"] != 0,
        "the container may gain privileges": rights["no_new_privileges"] != 1,
        f"the run ended as {shard.status}": shard.status != "SUCCEEDED",
        f"embedded {shard.embedded} of {shard.photos}": shard.embedded != shard.photos,
        f"{shard.found} rows of {shard.photos} are in the table": shard.found != shard.photos,
        "the worker did not log its first vector": shard.first_vector_seconds is None,
    }
    return [text for text, is_wrong in wrong.items() if is_wrong]


def table(megabytes: float, shards: Mapping[str, ShardRun]) -> str:
    """The figures for docs/performance.md."""
    rows = [["size, unpacked, MB", f"{megabytes:.0f}"]]
    for name, shard in shards.items():
        rows.append([f"container start to first vector, {name}, s", f"{shard.first_vector_seconds:.1f}"])
        rows.append(["— of it the worker's process, s", f"{shard.worker_seconds:.1f}"])
    return markdown_table(["worker's image, CPU", ""], rows)


def main() -> int:
    """Run everything and print the line; 1 if there are problems."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("state", type=Path, help="the folder of tools/image/build.sh")
    parser.add_argument("--image", default="stepvec-worker:latest")
    parser.add_argument("--record", action="store_true", help="write the figures into docs/performance.md")
    options = parser.parse_args()
    engine = ContainerEngine((options.state / "engine").resolve(), options.image)
    megabytes, rights = image_megabytes(engine), probe(engine)
    shards = {
        f"{name} {precision}": run_shard(engine, {"engine": name, "precision": precision})
        for name, precision in ENGINES
    }
    wrong = {name: found for name, shard in shards.items() if (found := problems(rights, shard))}
    for name, found in wrong.items():
        print(*(f"error: {name}: {text}" for text in found), sep="\n", file=sys.stderr)
        print("The job's log ends:", *shards[name].log[-20:], sep="\n  ", file=sys.stderr)
    if options.record and not wrong:
        write_section("image", table(megabytes, shards))
    starts = ", ".join(f"{shard.first_vector_seconds or float('nan'):.1f} s {name}" for name, shard in shards.items())
    embedded = ", ".join(f"{shard.embedded} of {shard.photos}" for shard in shards.values())
    print(f"image {megabytes:.0f} MB, uid {rights['uid']}, shards embedded {embedded}, start to first vector {starts}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
