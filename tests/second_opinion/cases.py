"""The runs that are replayed, and their recording on the embedded AWS: what each task answered, and the run's end."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import Any, Final

from botocore.exceptions import ClientError

from tests.localaws.conftest import Sample, wait_for
from tests.localaws.state_machine_world import Job, Kind, Machine, Scenario, ShardScript, Trouble, World

WELL: Final = Trouble(0, "service")
FOR_EVER: Final = 99


def scenario(**changes: Any) -> Scenario:
    """A run of seven images in three shards, in which everything goes well but for `changes`."""
    return replace(
        Scenario(
            images=7, stored=0, shard_size=3, max_failures=0, time_is_short=False, list_images=(WELL, WELL),
            shard_images=(WELL, WELL), shards=(ShardScript(WELL, "embeds all", WELL),), verify_run=WELL,
        ),
        **changes,
    )  # fmt: skip


def all_shards(job: Job = "embeds all", *, submit: Trouble = WELL, verify: Trouble = WELL) -> tuple[ShardScript, ...]:
    return (ShardScript(submit, job, verify),)


def trouble(kind: Kind, times: int = FOR_EVER) -> Trouble:
    return Trouble(times, kind)


STOPPED: Final = "stopped"
STOP: Final = {"error": "Stopped", "cause": "by hand"}
CASES: Final[dict[str, Scenario]] = {
    "complete": scenario(),
    "several-rounds": scenario(time_is_short=True),
    "nothing-to-embed": scenario(stored=7),
    "input-error": scenario(images=0),
    "failures-allowed": scenario(shards=all_shards("some fail"), max_failures=3),
    "failures-not-allowed": scenario(shards=all_shards("some fail")),
    "failed-jobs": scenario(shards=all_shards("dies halfway")),
    "failed-jobs-that-stored-all": scenario(shards=all_shards("dies at the end")),
    "incomplete-shards": scenario(shards=all_shards("another model")),
    "one-incomplete-shard": scenario(
        shards=(*all_shards(), *all_shards(), *all_shards("another model")),
    ),
    "refused-submission": scenario(shards=all_shards(submit=trouble("refused"))),
    "lost-verify-shard": scenario(shards=(*all_shards(verify=trouble("service")), *all_shards())),
    "throttled-verify-run": scenario(verify_run=trouble("throttled", 3)),
    "lost-verify-run": scenario(verify_run=trouble("service")),
    "failing-list-images": scenario(list_images=(trouble("raised"), WELL)),
    STOPPED: scenario(),
}


@dataclass
class Answer:
    """What a call of a task gave: a payload, or an error by the name that Step Functions knows it by."""

    payload: Any = None
    error: str = ""
    cause: str = ""


@dataclass
class Recording:
    """A case as it went: answers by call (`VerifyShard 2`), how many calls, the path of states, and the end."""

    answers: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    calls: Counter[str] = field(default_factory=Counter)
    path: list[str] = field(default_factory=list)
    shards: str = ""
    """shards.json, which the Map reads; "" where there is none."""
    end: dict[str, Any] = field(default_factory=dict)


class RecordingWorld(World):
    """The world of the model-based tests, which notes what it answers."""

    def __init__(self, scenario: Scenario, *, hold: threading.Event | None = None) -> None:
        super().__init__(scenario)
        self.recording = Recording()
        self._hold = hold

    def invoke(self, FunctionName: str, Payload: bytes) -> Any:
        event = json.loads(Payload)
        call = f"{FunctionName} {event['state']['shard']['shard']}" if FunctionName == "VerifyShard" else FunctionName
        self.recording.calls[call] += 1
        if self._hold and FunctionName == "VerifyShard":
            self._hold.wait(20)
        try:
            answer = super().invoke(FunctionName, Payload)
        except ClientError as error:
            self.recording.answers[call].append(Answer(error=f"Lambda.{error.response['Error']['Code']}", cause="no"))
            raise
        payload = json.loads(answer["Payload"].read())
        answer["Payload"].seek(0)
        has_failed = "FunctionError" in answer
        self.recording.answers[call].append(
            Answer(error=payload["errorType"], cause=payload["errorMessage"]) if has_failed else Answer(payload)
        )
        return answer

    def submit_job(self, **request: Any) -> Any:
        call = f"SubmitJob {request['parameters']['shard'].rpartition('/')[2].partition('.')[0]}"
        self.recording.calls[call] += 1
        try:
            answer = super().submit_job(**request)
        except ClientError as error:
            self.recording.answers[call].append(Answer(error=f"Batch.{error.response['Error']['Code']}", cause="no"))
            raise
        job = self.jobs[answer["jobId"]]
        capital = {"JobId": job["jobId"], "Status": job["status"], "Attempts": []}
        self.recording.answers[call].append(
            Answer(error="States.TaskFailed", cause=json.dumps(capital))
            if job["status"] == "FAILED"
            else Answer(capital)
        )
        return answer


def record(machine: Machine, sample: Sample, name: str) -> Recording:
    """Run the case on the embedded AWS's interpreter, with the real handlers."""
    hold = threading.Event() if name == STOPPED else None
    world = RecordingWorld(CASES[name], hold=hold)
    execution = machine.begin(world, name)
    if hold:
        wait_for(lambda: any(call.startswith("VerifyShard") for call in world.recording.calls), "VerifyShard")
        sample.states.stop_execution(executionArn=execution, **STOP)
        hold.set()
    sample.ended(execution)
    world.recording.path = path_of(sample.states, execution, set(machine.definition["States"]))
    world.recording.end = end_of(sample.states, execution)
    world.recording.shards = world.store.files.get(("work", f"runs/{name}/shards.json"), b"").decode()
    return world.recording


def path_of(states: Any, execution: str, names: set[str]) -> list[str]:
    """The states of the machine itself that the execution entered, one after the other."""
    return [
        event["stateEnteredEventDetails"]["name"]
        for page in states.get_paginator("get_execution_history").paginate(executionArn=execution)
        for event in page["events"]
        if event.get("stateEnteredEventDetails", {}).get("name") in names
    ]


def end_of(states: Any, execution: str) -> dict[str, Any]:
    """How the execution ended, as DescribeExecution says; a run's own figures of time are left out."""
    ended = states.describe_execution(executionArn=execution)
    output = json.loads(ended["output"]) if ended.get("output") else None
    return {"status": ended["status"], "error": ended.get("error"), "cause": ended.get("cause"), "output": output}
