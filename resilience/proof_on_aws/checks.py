"""The six questions that only an account can answer. Each check asks one, and answers with findings."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError

from resilience.proof_on_aws.findings import Finding, NotHere, Verdict
from resilience.proof_on_aws.places import Place
from stepvec.client.deployment import Deployment
from stepvec.client.removal import exists
from stepvec.client.runs import Run, RunEnd
from stepvec.errors import ConfigurationError
from testkit.photos import picture

T = TypeVar("T")

SETTINGS: Final[dict[str, Any]] = {"max_vcpus": 2, "shard_size": 1, "log_retention_days": 1}
"""Of the deployment that is tried: two shards of one image at a time."""
OTHER_SETTINGS: Final[dict[str, Any]] = {"vector_type": "float16"}
"""What a deployment in mid-run changes: the job definition's variables, and functions'."""
RUN_SECONDS: Final = 45 * 60
"""An instance takes minutes to start, and Spot may make a job wait."""
ALARM_SECONDS: Final = 120
TICK_SECONDS: Final = 0.5
BATCH_VARIABLES: Final = {"AWS_BATCH_CE_NAME", "AWS_BATCH_JOB_ATTEMPT", "AWS_BATCH_JOB_ID", "AWS_BATCH_JQ_NAME"}
"""Of a job that is neither an array's nor of several nodes.

https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html
"""
REGION_VARIABLES: Final = {"AWS_DEFAULT_REGION", "AWS_REGION"}
_PRINT_NAMES: Final = "env | sed -n 's/^\\([A-Za-z0-9_]*\\)=.*/variable \\1/p'"
"""Names alone: some values are credentials' addresses."""


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


def job_environment(subject: Subject) -> Iterator[Finding]:
    """Which variables a container has that are not of its job definition: of Batch, and of the host's ECS agent."""
    check = "job environment"
    place = subject.place
    if not place.image_for_jobs:
        raise NotHere("There is no ECS agent: the embedded AWS starts a job as a process of the worker's image.")
    batch = place.client("batch")
    parameters = job_parameters(subject.machine())
    (ours,) = batch.describe_job_definitions(
        jobDefinitions=[parameters["JobDefinition"].rpartition("/")[2].partition(":")[0]], status="ACTIVE"
    )["jobDefinitions"][:1]
    container = ours["containerProperties"]
    definition = batch.register_job_definition(
        jobDefinitionName=f"{place.name}Environment",
        type="container",
        containerProperties={
            "image": place.image_for_jobs,
            "command": ["sh", "-c", _PRINT_NAMES],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}],
            "jobRoleArn": container["jobRoleArn"],
            "executionRoleArn": container["executionRoleArn"],
            "logConfiguration": container["logConfiguration"],
        },
    )["jobDefinitionArn"]
    try:
        job = batch.submit_job(jobName="environment", jobQueue=parameters["JobQueue"], jobDefinition=definition)
        ended = wait_for("the job that prints its variables", lambda: _ended_job(batch, job["jobId"]))
        names = _logged_variables(place, container, ended)
    finally:
        batch.deregister_job_definition(jobDefinition=definition)
    extra = sorted(names - BATCH_VARIABLES - {"HOME", "HOSTNAME", "PATH", "PWD", "SHLVL"})
    yield Finding(
        check,
        "Which variables does Batch set?",
        ", ".join(sorted(BATCH_VARIABLES)),
        ", ".join(sorted(names & BATCH_VARIABLES)),
        Verdict.AS_EXPECTED if names >= BATCH_VARIABLES else Verdict.DIFFERS,
    )
    yield Finding(
        check,
        "Does the ECS agent set a region where the job definition sets none?",
        "newer agents do, older ones do not",
        ", ".join(sorted(names & REGION_VARIABLES)) or "none",
        Verdict.NOTED,
    )
    yield Finding(check, "What else is set?", "", ", ".join(extra) or "nothing", Verdict.NOTED)


def _ended_job(batch: Any, job_id: str) -> dict[str, Any] | None:
    (job,) = batch.describe_jobs(jobs=[job_id])["jobs"]
    return dict(job) if job["status"] in ("SUCCEEDED", "FAILED") else None


def _logged_variables(place: Place, container: dict[str, Any], job: dict[str, Any]) -> set[str]:
    group = container["logConfiguration"]["options"]["awslogs-group"]
    stream = job["container"].get("logStreamName")
    if not stream:
        raise ConfigurationError(
            f"The job ended {job['status']} and logged nothing: {job.get('statusReason', '')}", remedy="See its page."
        )

    def read() -> set[str]:
        events = place.client("logs").get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
        return {
            line["message"].partition(" ")[2] for line in events["events"] if line["message"].startswith("variable")
        }

    return wait_for("the job's log", read, ALARM_SECONDS)


def alarms(subject: Subject) -> Iterator[Finding]:
    """Whether each alarm, set off by hand, can send its message."""
    check = "alarms"
    cloudwatch = subject.place.client("cloudwatch")
    names = [
        alarm["AlarmName"]
        for alarm in cloudwatch.describe_alarms(AlarmNamePrefix=f"{subject.place.name}Pipeline")["MetricAlarms"]
    ]
    if not names:
        raise NotHere("No alarm is deployed here.")
    for name in names:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="make proof-on-aws")
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="make proof-on-aws")

        def read(name: str = name) -> list[str]:
            history = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")
            return [item["HistorySummary"] for item in history["AlarmHistoryItems"]]

        try:
            summaries = wait_for(f"the history of {name}", read, ALARM_SECONDS)
        except TimeoutError as error:
            summaries = [str(error)]
        has_sent = all(summary.startswith("Successfully executed action") for summary in summaries)
        yield Finding(
            check,
            f"Does {name.partition('-')[2]} tell the topic?",
            "Successfully executed action",
            "; ".join(summaries),
            Verdict.AS_EXPECTED if has_sent else Verdict.DIFFERS,
        )


def terminated_jobs(subject: Subject) -> Iterator[Finding]:
    """What a Map gives whose two children's jobs were terminated, and how the run ends."""
    check = "terminated jobs"
    states = subject.place.client("stepfunctions")
    machine = subject.deployment.state_machine_arn
    original = subject.machine()
    # The same machine and role, but for the Map's result, which is kept: a place where its size shows.
    shown = json.loads(json.dumps(original))
    shown["States"]["EmbedShards"]["ResultPath"] = "$.children"
    states.update_state_machine(stateMachineArn=machine, definition=json.dumps(shown))
    try:
        run = subject.start(2)
        _terminate_jobs(subject, job_parameters(original)["JobQueue"], 2)
        ended = _end_of(run)
        yield from _map_results(check, states, run.arn)
    finally:
        states.update_state_machine(stateMachineArn=machine, definition=json.dumps(original))
    yield Finding(
        check,
        "How does the run end, and is there a report?",
        "FAILED Incomplete, missing 2",
        _in_words(ended),
        Verdict.AS_EXPECTED
        if ended.error == "Incomplete" and ended.report and ended.report.missing == 2
        else Verdict.DIFFERS,
    )


def _terminate_jobs(subject: Subject, queue: str, count: int) -> None:
    batch = subject.place.client("batch")
    terminated: set[str] = set()

    def terminate() -> bool:
        for status in ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING"):
            for job in batch.list_jobs(jobQueue=queue, jobStatus=status)["jobSummaryList"]:
                if job["jobId"] not in terminated:
                    batch.terminate_job(jobId=job["jobId"], reason="make proof-on-aws")
                    terminated.add(job["jobId"])
        return len(terminated) >= count

    wait_for(f"{count} jobs", terminate)


def _map_results(check: str, states: Any, execution: str) -> Iterator[Finding]:
    events = [
        event
        for page in states.get_paginator("get_execution_history").paginate(executionArn=execution)
        for event in page["events"]
    ]
    outputs = [
        event["stateExitedEventDetails"].get("output", "")
        for event in events
        if event.get("stateExitedEventDetails", {}).get("name") == "EmbedShards"
    ]
    children = json.dumps(json.loads(outputs[-1])["children"]) if outputs else "the Map did not end"
    yield Finding(
        check,
        "What is the Map's raw result?",
        "two elements, small: 50,000 of them must stay under 256 KiB",
        f"{len(children)} characters: {children}",
        Verdict.AS_EXPECTED if outputs and len(children) <= len("[{}, {}]") else Verdict.DIFFERS,
    )
    question = "How do the children end?"
    try:
        (map_run,) = (
            event["mapRunStartedEventDetails"]["mapRunArn"] for event in events if "mapRunStartedEventDetails" in event
        )
        children_of = states.list_executions(mapRunArn=map_run)["executions"]
    except (ClientError, ValueError) as error:
        # The embedded AWS has no executions of children.
        yield Finding(check, question, "", f"They cannot be listed: {str(error)[:80]}", Verdict.NOT_HERE)
        return
    for child in children_of:
        described = states.describe_execution(executionArn=child["executionArn"])
        ending = {key: described.get(key) for key in ("status", "error", "cause", "output")}
        yield Finding(check, question, "", json.dumps(ending), Verdict.NOTED)


def deploy_in_mid_run(subject: Subject) -> Iterator[Finding]:
    """Whether a run that goes on while a new version is deployed loses anything."""
    check = "deploy in mid-run"
    definition = job_parameters(subject.machine())["JobDefinition"]
    changed, shards = {**SETTINGS, **OTHER_SETTINGS}, subject.place.mid_run_shards
    subject.place.prepare(changed)
    run = subject.start(shards)
    wait_for("the run's shards", lambda: run.progress().to_embed)
    subject.deployment = subject.place.deploy(changed)
    deployed_while_running = run.ended() is None
    ended = _end_of(run)
    yield Finding(
        check,
        "Is a run complete in whose middle another version was deployed?",
        f"SUCCEEDED, found {shards}, missing 0",
        _in_words(ended) + ("" if deployed_while_running else "; but it had ended before the deployment had"),
        Verdict.AS_EXPECTED
        if deployed_while_running and ended.status == "SUCCEEDED" and ended.report and ended.report.missing == 0
        else Verdict.DIFFERS,
    )
    other = job_parameters(subject.machine())["JobDefinition"]
    (old,) = subject.place.client("batch").describe_job_definitions(jobDefinitions=[definition])["jobDefinitions"]
    yield Finding(
        check,
        "Is the old job definition still active?",
        "a new revision, the old one ACTIVE",
        f"{definition.rpartition('/')[2]} is {old['status']}, now {other.rpartition('/')[2]}",
        Verdict.AS_EXPECTED if old["status"] == "ACTIVE" and other != definition else Verdict.DIFFERS,
    )


def image_bucket(subject: Subject) -> Iterator[Finding]:
    """Whether the setting image_bucket can change, and what becomes of the bucket before."""
    check = "image bucket"
    s3 = subject.place.client("s3")
    created = subject.deployment.image_bucket
    other = f"{subject.place.name.lower()}-proof-{uuid.uuid4().hex[:12]}"
    region = s3.meta.region_name
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=other, **where)
    subject.buckets.append(other)
    subject.deployment = subject.place.deploy({**SETTINGS, **OTHER_SETTINGS, "image_bucket": other})
    yield Finding(
        check,
        "Can the setting change?",
        "the deployment names the other bucket",
        subject.deployment.image_bucket,
        Verdict.AS_EXPECTED if subject.deployment.image_bucket == other else Verdict.DIFFERS,
    )
    ended = _end_of(subject.start(1))
    yield Finding(
        check,
        "Is an image of the other bucket embedded?",
        "SUCCEEDED, found 1",
        _in_words(ended),
        Verdict.AS_EXPECTED if ended.report and ended.report.found == 1 else Verdict.DIFFERS,
    )
    still = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    subject.buckets.append(created)
    yield Finding(
        check,
        "Is the bucket before kept?",
        "kept, with its images",
        "kept" if created in still else "gone",
        Verdict.AS_EXPECTED if created in still else Verdict.DIFFERS,
    )


def removal(subject: Subject) -> Iterator[Finding]:
    """Whether everything can be removed, protections and all, and what is left."""
    check = "removal"
    deployment, place = subject.deployment, subject.place
    place.destroy()
    left = [stack for stack in (f"{place.name}Pipeline", f"{place.name}Data") if exists(place.client, stack)]
    buckets = {bucket["Name"] for bucket in place.client("s3").list_buckets()["Buckets"]}
    left += sorted({deployment.work_bucket} & buckets)
    left += [deployment.table] if deployment.table in place.client("dynamodb").list_tables()["TableNames"] else []
    yield Finding(
        check,
        "What is left after `stepvec destroy --data`?",
        "nothing",
        ", ".join(left) or "nothing",
        Verdict.DIFFERS if left else Verdict.AS_EXPECTED,
    )


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


def _end_of(run: Run) -> RunEnd:
    return wait_for(f"the end of {run.name}", run.ended)


def _in_words(ended: RunEnd) -> str:
    if ended.report is None:
        return f"{ended.status} {ended.error} {ended.cause}, no report"
    errors = "".join(f"; {error}" for error in [*ended.report.shard_errors.values()][:1])
    counts = f"found {ended.report.found}, missing {ended.report.missing}{errors}"
    return f"{ended.status} {ended.error}, {counts}".replace(" ,", ",")


CHECKS: Final[dict[str, Callable[[Subject], Iterator[Finding]]]] = {
    "job environment": job_environment,
    "alarms": alarms,
    "terminated jobs": terminated_jobs,
    "deploy in mid-run": deploy_in_mid_run,
    "image bucket": image_bucket,
    "removal": removal,
}
"""In this order: the last one leaves nothing to ask."""
