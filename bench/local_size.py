"""`python -m bench.local_size`: what a local run of many small photos takes, as `stepvec local up` runs it.

Uploads pictures of 96 x 72 with boto3, in a process of its own, runs the state machine, and runs it again, which lists
and finds all of it unchanged. CPU time, not time: it says what grows, also on a machine that is busy with other things.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from local_pipeline.cloud import deployment_of, embedded_cloud
from local_pipeline.installation import ROOT
from localaws.clients import make_client
from localaws.iam.credentials import Credentials
from stepvec.adapters.executions import SUCCEEDED
from stepvec.client.runs import Run
from testkit.photos import picture
from testkit.processes import SAMPLE_SECONDS, SERVER, Samples, sampled
from testkit.tables import DOCS, markdown_table, write_section

SIZES: Final = (1_000, 10_000, 30_000)
FOLDERS: Final = 100
_THREADS: Final = 8
HEAD: Final = ("photos", "step", "seconds", "CPU, embedded AWS", "CPU, jobs or client", "CPU, functions", "memory, MB")


@dataclass(slots=True)
class Measured:
    """The rows of the table, and what was seen until now."""

    samples: Samples
    photos: int
    rows: list[list[str]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measures the block as a step of the table."""
        before, start = self._cpu(), time.monotonic()
        yield
        seconds = time.monotonic() - start
        time.sleep(2 * SAMPLE_SECONDS)
        used = [f"{after - earlier:.0f}" for after, earlier in zip(self._cpu(), before, strict=True)]
        self.rows.append([f"{self.photos:,}", name, f"{seconds:.0f}", *used, f"{self._memory_mb():.0f}"])
        print(" | ".join(self.rows[-1]), flush=True)

    def _cpu(self) -> tuple[float, float, float]:
        """CPU seconds until now of the embedded AWS, of all jobs, and of all functions."""
        used = dict.fromkeys(("server", "jobs", "functions"), 0.0)
        for (name, _), series in list(self.samples.processes.items()):
            kind = "server" if name == SERVER else "functions" if name.startswith("function ") else "jobs"
            used[kind] += series[-1].cpu_seconds
        return used["server"], used["jobs"], used["functions"]

    def _memory_mb(self) -> float:
        (series,) = (series for (name, _), series in self.samples.processes.items() if name == SERVER)
        return series[-1].rss / 1024**2


def measure(photos: int, engine: str) -> list[list[str]]:
    """The rows of the table for so many photos. Raises RuntimeError where a run does not end with all of them."""
    with (
        embedded_cloud(os.cpu_count() or 1, {"engine": engine}) as cloud,
        sampled(lambda: 0) as samples,
    ):
        time.sleep(2 * SAMPLE_SECONDS)
        measured, deployment = Measured(samples, photos), deployment_of(cloud)
        with measured.step("upload"):
            where = [cloud.endpoint_url, cloud.region, cloud.access_key_id, cloud.secret_access_key]
            arguments = json.dumps([*where, deployment.image_bucket, photos])
            subprocess.run([sys.executable, "-m", "bench.local_size", "--upload", arguments], cwd=ROOT, check=True)
        for step, wanted in (("run", (photos, 0)), ("run again", (0, photos))):
            with measured.step(step):
                run = Run(deployment, step.replace(" ", "-"))
                run.start({"Paths": ["images"]})
                ended = run.wait()
            report = ended.report
            if ended.status != SUCCEEDED or report is None or (report.embedded, report.unchanged) != wanted:
                raise RuntimeError(f"{step}: {ended}")
    return measured.rows


def upload(endpoint: str, region: str, access_key_id: str, secret_access_key: str, bucket: str, photos: int) -> None:
    """Put so many pictures, no two the same, into `bucket`."""
    client = make_client(
        "s3", endpoint_url=endpoint, region=region, credentials=Credentials(access_key_id, secret_access_key)
    )

    def put(number: int) -> None:
        key = f"images/{number % FOLDERS:02d}/{number:08d}.jpg"
        client.put_object(Bucket=bucket, Key=key, Body=picture(number))

    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(put, range(photos)):
            """Each is awaited, so that an error of any is raised here."""


def main() -> None:
    """Measure, print, and write the table into docs/local.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, nargs="+", default=SIZES)
    parser.add_argument(
        "--engine", default="openvino", help="what computes: the less it takes, the more shows the rest"
    )
    parser.add_argument("--dry", action="store_true", help="write nothing")
    parser.add_argument("--upload", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.upload:
        upload(*json.loads(options.upload))
        return
    rows = [row for photos in options.photos for row in measure(photos, options.engine)]
    table = markdown_table(HEAD, rows)
    print(table)
    if not options.dry:
        write_section("size", table, DOCS / "local.md")


if __name__ == "__main__":
    main()
