"""A world for the state machine: the real definition and the real handlers, everything beyond them scripted.

The machine runs in the embedded AWS's interpreter. Its calls come here instead of to a service: Lambda invokes the
real handlers on stores in memory, after the troubles that the scenario has for that call; Batch's worker is a script.
"""

from __future__ import annotations

import importlib
import io
import itertools
import json
import threading
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final, Literal

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto.batch.models import batch_backends

from stepvec import codec
from stepvec.estimate.capacity import Capacity
from stepvec.rows.item import RowMetadata
from stepvec.runs.layout import parse_shard_uri
from stepvec.runs.listing import ShardImage, read_shard
from stepvec.runs.outcome import FailureReason, ImageFailure
from stepvec.runs.reports import ShardReport, StageSeconds
from tests.conftest import ROOT
from tests.fakes import MODEL, MemoryStore, MemoryTable

PAGE_SIZE: Final = 3
FUNCTIONS: Final = ("ListImages", "ShardImages", "VerifyShard", "VerifyRun")

Kind = Literal["service", "throttled", "no answer", "ran, no answer", "refused", "raised"]
"""What goes wrong with a call; "ran, no answer": the function did its work, and Step Functions does not know."""
Job = Literal["embeds all", "some fail", "dies halfway", "dies at the end", "another model"]


@dataclass(frozen=True)
class Trouble:
    """A call goes wrong `times` times before it goes well."""

    times: int
    kind: Kind


@dataclass(frozen=True)
class ShardScript:
    """What becomes of one shard."""

    submit: Trouble
    job: Job
    verify: Trouble


@dataclass(frozen=True)
class Scenario:
    """A run. `shards` are taken in turn, however many there are; troubles of a function are for its rounds in turn."""

    images: int
    stored: int
    shard_size: int
    max_failures: int
    time_is_short: bool
    list_images: tuple[Trouble, Trouble]
    shard_images: tuple[Trouble, Trouble]
    shards: tuple[ShardScript, ...]
    verify_run: Trouble

    def shard(self, number: int) -> ShardScript:
        """The script of shard `number`."""
        return self.shards[number % len(self.shards)]


class World:
    """One scenario's stores and scripts, and what was called."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.store = MemoryStore(page_size=PAGE_SIZE)
        self.table = MemoryTable()
        self.calls: Counter[str] = Counter()
        """Attempts by call: `ListImages 0` is its first round, `VerifyShard 3` and `SubmitJob 3` are of shard 3."""
        self.rounds: Counter[str] = Counter()
        self.jobs: dict[str, Any] = {}
        self._lock = threading.Lock()
        for number in range(scenario.images):
            key = f"images/{number:03d}.jpg"
            self.store.add_image("images", key)
            if number < scenario.stored:
                self.table.stored[key] = RowMetadata(key, key, f"etag-of-{key}", MODEL, "an-earlier-run")

    # --- Lambda
    def invoke(self, FunctionName: str, Payload: bytes) -> Any:
        """Lambda's Invoke."""
        with self._lock:
            event = json.loads(Payload)
            name = f"{FunctionName} {self._number(FunctionName, event)}"
            trouble = self._trouble(FunctionName, name, event)
            self.calls[name] += 1
            goes_wrong = self.calls[name] <= trouble.times
            if goes_wrong and trouble.kind != "ran, no answer":
                return _go_wrong(trouble.kind, "Invoke")
            answer = self._handle(FunctionName, event)
            if goes_wrong:
                return _go_wrong(trouble.kind, "Invoke")
            if FunctionName in ("ListImages", "ShardImages"):
                self.rounds[FunctionName] += 1
            return answer

    def _number(self, function: str, event: Any) -> int:
        return int(event["state"]["shard"]["shard"]) if function == "VerifyShard" else self.rounds[function]

    def _trouble(self, function: str, name: str, event: Any) -> Trouble:
        scenario, number = self.scenario, int(name.split()[1])
        if function == "VerifyShard":
            return scenario.shard(number).verify
        if function == "VerifyRun":
            return scenario.verify_run
        troubles = scenario.list_images if function == "ListImages" else scenario.shard_images
        return troubles[number] if number < len(troubles) else Trouble(0, "service")

    def _handle(self, function: str, event: Any) -> Any:
        left = 0 if self.scenario.time_is_short else 900_000
        context = SimpleNamespace(
            get_remaining_time_in_millis=lambda: left,
            function_name=function,
            memory_limit_in_mb=1,
            invoked_function_arn="arn",
            aws_request_id="id",
        )
        try:
            return _answer(HANDLERS[function].handle(event, context))
        except Exception as error:  # noqa: BLE001 - as AWS's runtime does
            return _answer({"errorType": type(error).__name__, "errorMessage": str(error)}, FunctionError="Unhandled")

    # --- Batch
    def submit_job(self, **request: Any) -> Any:
        """Batch's SubmitJob: the job has ended when it returns."""
        with self._lock:
            layout, number = parse_shard_uri(request["parameters"]["shard"])
            script = self.scenario.shard(number)
            self.calls[f"SubmitJob {number}"] += 1
            if self.calls[f"SubmitJob {number}"] <= script.submit.times:
                _go_wrong(script.submit.kind, "SubmitJob")
            job_id = f"{layout.run}-{number}"
            has_failed = self._work(layout.run, number, script.job)
            self.jobs[job_id] = {"jobId": job_id, "status": "FAILED" if has_failed else "SUCCEEDED", "attempts": []}
            # Where the embedded AWS looks whether the job has ended.
            batch_backends["123456789012"]["us-east-1"]._jobs[job_id] = SimpleNamespace(job_stopped=True)
            return {"jobId": job_id, "jobName": request["jobName"]}

    def describe_jobs(self, jobs: list[str]) -> Any:
        """Batch's DescribeJobs."""
        return {"jobs": [self.jobs[job] for job in jobs]}

    def _work(self, run: str, number: int, job: Job) -> bool:
        layout, _ = parse_shard_uri(f"s3://work/runs/{run}/shards/{number}.jsonl.gz")
        images = self.images_of(run, number)
        failed = images[:1] if job == "some fail" else []
        done = images[: len(images) // 2] if job == "dies halfway" else images[len(failed) :]
        model = "another/model/standard-1" if job == "another model" else MODEL
        for image in done:
            self.table.stored[image.image_id] = RowMetadata(image.image_id, image.key, image.etag, model, run)
        if job.startswith("dies"):
            return True
        failures = tuple(ImageFailure(one.key, one.image_id, FailureReason.TRUNCATED, "m") for one in failed)
        report = ShardReport(
            run=run, shard=number, images=len(images), embedded=len(done), unchanged=0, failures=failures, model=MODEL,
            vector_type="float32", attempt=1, started=datetime.now(UTC).isoformat(), seconds=1.0,
            stages=StageSeconds(1, 1, 1, 1), downloaded_bytes=1, write_units=1.0, read_units=1.0, peak_memory_mb=1,
            host="h",
        )  # fmt: skip
        self.store.write_record(layout.shard_report(number), report)
        return False

    def images_of(self, run: str, number: int) -> list[ShardImage]:
        """The images of a shard, as ShardImages wrote them."""
        body = self.store.files["work", f"runs/{run}/shards/{number}.jsonl.gz"]
        return list(read_shard(io.BytesIO(body), where="shard"))

    # --- S3, for the Map's ItemReader
    def get_object(self, Bucket: str, Key: str, **_: Any) -> Any:
        """S3's GetObject."""
        return {"Body": io.BytesIO(self.store.files[Bucket, Key])}


def _go_wrong(kind: Kind, operation: str) -> Any:
    if kind == "raised":
        return _answer({"errorType": "StorageError", "errorMessage": "S3 failed"}, FunctionError="Unhandled")
    if kind in ("no answer", "ran, no answer"):
        raise ConnectTimeoutError(endpoint_url="http://service")
    is_batch = operation == "SubmitJob"
    codes = {
        "service": "ServerException" if is_batch else "ServiceException",
        "throttled": "TooManyRequestsException",
        "refused": "ClientException" if is_batch else "ResourceNotFoundException",
    }
    response: Any = {
        "Error": {"Code": codes[kind], "Message": kind},
        "ResponseMetadata": {"HTTPStatusCode": 500, "RequestId": "r"},
    }
    raise ClientError(response, operation)


def _answer(document: Any, **more: Any) -> Any:
    return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(document).encode()), **more}


HANDLERS: dict[str, Any] = {}
_ENVIRONMENT: Final = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "STEPVEC_IMAGE_BUCKET": "images",
    "STEPVEC_WORK_BUCKET": "work",
    "STEPVEC_SHARD_SIZE": "5000",
    "STEPVEC_TABLE": "table",
    "STEPVEC_MODEL": MODEL,
    "STEPVEC_VECTOR_TYPE": "float32",
    "STEPVEC_WORKER_VERSION": "1",
    "STEPVEC_WORKER_LOG_GROUP": "logs",
    "STEPVEC_CAPACITY": codec.to_json(
        Capacity("cpu", 4, 1, ("c7i",), 30, spot=True, shard_size=5_000, vcpu_hour_usd=0.03)
    ),
    "STEPVEC_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:topic",
    "STEPVEC_DEPLOYMENT": "StepvecPipeline",
}


class Machine:
    """The state machine of statemachine/, made on the embedded AWS; runs one scenario after the other."""

    def __init__(self, sample: Any, patch: pytest.MonkeyPatch) -> None:
        self._sample, self._patch = sample, patch
        self._names = (f"scenario-{number}" for number in itertools.count())
        text = (ROOT / "statemachine" / "embed_images.asl.json").read_text()
        values = {"WorkBucket": "work", "JobQueue": "queue", "JobDefinition": "definition", "MaxConcurrency": "3"}
        values |= {"Partition": "aws", "Model": MODEL, "Table": "table", "VectorType": "float32"}
        values |= {"ToleratedFailurePercentage": "100", **{f"{name}Function": name for name in FUNCTIONS}}
        for name, value in values.items():
            text = text.replace(f"${{{name}}}", value)
        self.definition: Any = json.loads(text)
        self._arn = sample.machine(self.definition)
        self.world: World | None = None

    def client_for(self, region: str, service: str, state_credentials: Any) -> World:
        """In place of the interpreter's clients of any service."""
        assert self.world is not None
        return self.world

    def begin(self, world: World, name: str) -> str:
        """Start the run `name` in `world`; the execution's ARN."""
        self.world = world
        for handler in HANDLERS.values():
            self._patch.setattr(handler, "store", world.store)
        for function in ("ShardImages", "VerifyShard"):
            self._patch.setattr(HANDLERS[function], "VectorTable", lambda *_: world.table)
        options = {"ShardSize": world.scenario.shard_size, "MaxFailures": world.scenario.max_failures}
        started = self._sample.states.start_execution(
            stateMachineArn=self._arn, name=name, input=json.dumps({"Paths": ["images"], **options})
        )
        return str(started["executionArn"])

    def run(self, scenario: Scenario, *, seconds: float = 40) -> tuple[World, Any]:
        """The world after a run of `seconds` at most, and DescribeExecution's answer with its report, if it has one."""
        world, name = World(scenario), next(self._names)
        ended = self._sample.ended(self.begin(world, name), seconds=seconds)
        report = world.store.files.get(("work", f"runs/{name}/report.json"))
        return world, {**ended, "report": json.loads(report) if report else None}


def machine(sample: Any) -> Generator[Machine, None, None]:
    """The machine, with the handlers imported and the interpreter's clients replaced, for as long as it is used."""
    import sys

    from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_callback

    from localaws.patches import states_clients, states_tasks

    with pytest.MonkeyPatch.context() as patch:
        for name, value in _ENVIRONMENT.items():
            patch.setenv(name, value)
        folders = {name: "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_") for name in FUNCTIONS}
        HANDLERS.update({n: importlib.import_module(f"lambdas.{folder}.handler") for n, folder in folders.items()})
        patch.setattr(HANDLERS["VerifyRun"], "topic", SimpleNamespace(publish=lambda **_: None))
        patch.setattr(HANDLERS["VerifyShard"], "dynamodb_client", lambda **_: None)
        patch.setattr(retrier_decl, "time", SimpleNamespace(sleep=lambda _: None))
        patch.setattr(state_task_service_callback, "_DELAY_SECONDS_SYNC_CONDITION_CHECK", 0.001)
        batch = batch_backends["123456789012"]["us-east-1"]
        # For as long as this lasts: moto could neither list nor reset with what submit_job puts there.
        patch.setattr(batch, "_jobs", dict(batch._jobs))
        made = Machine(sample, patch)
        for module in [*sys.modules.values()]:
            if getattr(module, "boto_client_for", None) is states_clients.client_for:
                patch.setattr(module, "boto_client_for", made.client_for)
        patch.setattr(states_tasks, "client_for", made.client_for)
        yield made
