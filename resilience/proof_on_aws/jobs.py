"""What Batch does: the variables of a job, and how a Map ends whose jobs were terminated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from botocore.exceptions import ClientError

from resilience.proof_on_aws.findings import Finding, NotHere, Verdict
from resilience.proof_on_aws.places import Place
from resilience.proof_on_aws.subject import ALARM_SECONDS, Subject, end_of, in_words, job_parameters, wait_for
from stepvec.errors import ConfigurationError

BATCH_VARIABLES: Final = {"AWS_BATCH_CE_NAME", "AWS_BATCH_JOB_ATTEMPT", "AWS_BATCH_JOB_ID", "AWS_BATCH_JQ_NAME"}
"""Of a job that is neither an array's nor of several nodes.

https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html
"""
REGION_VARIABLES: Final = {"AWS_DEFAULT_REGION", "AWS_REGION"}
_PRINT_NAMES: Final = "env | sed -n 's/^\\([A-Za-z0-9_]*\\)=.*/variable \\1/p'"
"""Names alone: some values are credentials' addresses."""


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
        ended = end_of(run)
        yield from _map_results(check, states, run.arn)
    finally:
        states.update_state_machine(stateMachineArn=machine, definition=json.dumps(original))
    yield Finding(
        check,
        "How does the run end, and is there a report?",
        "FAILED Incomplete, missing 2",
        in_words(ended),
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
