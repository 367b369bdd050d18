"""Batch jobs as processes: attempts, ends, timeouts, signals, logs, environment. [batch_processes]"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest
from moto.batch.models import Job

from localaws.batch.container import job_arguments
from localaws.batch.retry import AttemptEnd, attempts_allowed, is_retried
from localaws.batch.slots import Slots
from localaws.processes import LOCAL_VARIABLES

RETRY_ON_2 = [{"onExitCode": "2", "action": "RETRY"}, {"onReason": "*", "action": "exit"}]


def test_success_is_described_as_on_aws(sample):
    """[batch_container_details]"""
    job = sample.finished(sample.submit("exit", "0"))
    assert job["status"] == "SUCCEEDED"
    assert job["statusReason"] == "Essential container in task exited"
    assert job["container"]["exitCode"] == 0
    assert job["container"]["logStreamName"] == job["attempts"][0]["container"]["logStreamName"]
    assert job["startedAt"] <= job["stoppedAt"]
    again = sample.describe(job["jobId"])
    assert len(again["container"]["environment"]) == len(job["container"]["environment"])


def test_parameters_of_the_definition_are_defaults_of_the_command(sample):
    job = sample.finished(sample.submit(parameters={"value": "4"}))
    assert job["container"]["exitCode"] == 4


def test_exit_code_without_retry(sample):
    job = sample.finished(sample.submit("exit", "7"))
    assert job["status"] == "FAILED"
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [7]


def test_attempts_until_success(sample):
    """[batch_submitted_retry_strategy]"""
    job = sample.finished(sample.submit("exit-by-attempt", "1", "1", "0", retryStrategy={"attempts": 4}))
    assert job["status"] == "SUCCEEDED"
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [1, 1, 0]
    streams = {attempt["container"]["logStreamName"] for attempt in job["attempts"]}
    assert len(streams) == 3


def test_evaluate_on_exit_decides(sample):
    strategy = {"attempts": 5, "evaluateOnExit": RETRY_ON_2}
    job = sample.finished(sample.submit("exit-by-attempt", "2", "3", "0", retryStrategy=strategy))
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [2, 3]
    assert job["status"] == "FAILED"


def test_lost_host_is_retried_by_its_status_reason(sample):
    strategy = {
        "attempts": 3,
        "evaluateOnExit": [
            {"onStatusReason": "Host EC2*", "action": "RETRY"},
            {"onReason": "*", "action": "EXIT"},
        ],
    }
    job_id = sample.submit("polite", retryStrategy=strategy)
    sample.wait_for_line(job_id, "ready")
    first = sample.describe(job_id)["container"]["logStreamName"]
    sample.cloud.lose_host(job_id)
    _wait_for_attempt(sample, job_id, 2)
    sample.batch.terminate_job(jobId=job_id, reason="enough")
    job = sample.finished(job_id)
    assert job["attempts"][0]["statusReason"].startswith("Host EC2")
    assert "flushed" in sample.log(sample.pipeline["JobsLog"], first)


def _wait_for_attempt(sample, job_id, number) -> Any:
    end = time.monotonic() + 20
    while len(sample.describe(job_id)["attempts"]) < number:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_timeout_ends_the_job_and_is_not_retried(sample):
    job_id = sample.submit("sleep", "50", timeout={"attemptDurationSeconds": 1}, retryStrategy={"attempts": 3})
    job = sample.finished(job_id)
    assert job["statusReason"] == "Job attempt duration exceeded timeout"
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [143]


def test_process_that_ends_well_on_sigterm_is_still_a_timed_out_job(sample):
    job = sample.finished(sample.submit("polite", timeout={"attemptDurationSeconds": 1}))
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 0)
    assert sample.job_log(job) == ["ready", "flushed"]


def test_process_that_ignores_sigterm_is_killed_after_the_grace(sample, monkeypatch):
    monkeypatch.setattr(sample.cloud._batch, "stop_grace_seconds", 0.3)
    job_id = sample.submit("stubborn")
    sample.wait_for_line(job_id, "ready")
    sample.batch.terminate_job(jobId=job_id, reason="now")
    job = sample.finished(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "now")
    assert job["container"]["exitCode"] == 137


def test_terminated_job_is_not_retried(sample):
    job_id = sample.submit("polite", retryStrategy={"attempts": 5})
    sample.wait_for_line(job_id, "ready")
    sample.batch.terminate_job(jobId=job_id, reason="enough")
    assert len(sample.finished(job_id)["attempts"]) == 1


def test_jobs_wait_for_free_slots_and_cancel_takes_only_those_that_wait(sample):
    whole = {"resourceRequirements": [{"type": "VCPU", "value": "64"}]}
    first = sample.submit("polite", containerOverrides=dict(whole))
    sample.wait_for_line(first, "ready")
    second = sample.submit("exit", "0")
    assert sample.describe(second)["status"] in ("SUBMITTED", "RUNNABLE")
    sample.batch.cancel_job(jobId=second, reason="not needed")
    sample.batch.cancel_job(jobId=first, reason="ignored: it runs")
    cancelled = sample.finished(second)
    assert (cancelled["status"], cancelled["statusReason"]) == ("FAILED", "not needed")
    assert cancelled["attempts"] == []
    assert sample.describe(first)["status"] == "RUNNING"
    sample.batch.terminate_job(jobId=first, reason="done")
    sample.finished(first)


def test_log_lines_arrive_while_the_job_runs(sample):
    job_id = sample.submit("lines", "0.5")
    sample.wait_for_line(job_id, "first")
    assert sample.describe(job_id)["status"] == "RUNNING"
    lines = sample.job_log(sample.finished(job_id))
    assert lines == ["first", "x" * 65_536, "x" * 4_464, "übrig"]


def test_descendants_end_with_the_job(sample):
    job = sample.finished(sample.submit("orphan"))
    assert job["status"] == "SUCCEEDED"
    assert sample.job_log(job) == ["parent ends"]


def test_environment_is_that_of_the_container_alone(sample, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "developer")
    monkeypatch.setenv("PYTHONPATH", "/developer")
    monkeypatch.setenv("SECRET_OF_THE_DEVELOPER", "x")
    override = {"environment": [{"name": "OVERRIDE", "value": "o"}]}
    job = sample.finished(sample.submit("environment", containerOverrides=override))
    seen = json.loads(sample.job_log(job)[0])
    image = {"PYTHONDONTWRITEBYTECODE", "FROM_IMAGE", "FROM_START"}
    batch = {f"AWS_BATCH_{name}" for name in ("CE_NAME", "JOB_ATTEMPT", "JOB_ID", "JQ_NAME")}
    expected = {"FROM_TEMPLATE", "OVERRIDE", "AWS_EXECUTION_ENV", *image, *batch, *LOCAL_VARIABLES}
    assert set(seen) - {"arguments", "folder", "LC_CTYPE"} == expected
    assert seen["FROM_TEMPLATE"] == sample.data["TableName"]
    assert (seen["OVERRIDE"], seen["FROM_IMAGE"], seen["FROM_START"]) == ("o", "yes", "yes")
    assert seen["AWS_ENDPOINT_URL"] == sample.cloud.endpoint_url
    assert seen["AWS_BATCH_JOB_ID"] == job["jobId"]
    assert seen["AWS_BATCH_JOB_ATTEMPT"] == "1"
    assert seen["AWS_SESSION_TOKEN"]
    assert seen["HOME"] != os.environ["HOME"]
    assert seen["folder"].endswith("asset.image")


def test_a_job_has_no_region_but_that_of_its_definition(sample):
    """ECS agents before 1.104.0 set none: an SDK's client cannot be made."""
    without = sample.finished(sample.submit("client"))
    assert (without["status"], without["container"]["exitCode"]) == ("FAILED", 1)
    assert "NoRegionError" in sample.job_log(without)[-1]
    region = {"environment": [{"name": "AWS_DEFAULT_REGION", "value": "eu-west-1"}]}
    assert sample.finished(sample.submit("client", containerOverrides=region))["status"] == "SUCCEEDED"


def test_children_of_an_array_know_its_size(sample):
    parent = sample.submit("environment", arrayProperties={"size": 2})
    seen = [json.loads(sample.job_log(sample.finished(f"{parent}:{index}"))[0]) for index in range(2)]
    names = ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE")
    assert [tuple(one[name] for name in names) for one in seen] == [("0", "2"), ("1", "2")]


def test_jobs_are_described_while_others_are_submitted(sample, monkeypatch):
    """[batch_describe_jobs]"""
    first = sample.submit("exit", "0")
    submitted: list[Any] = []
    describe = Job.describe

    def describe_and_submit(job) -> Any:
        # What another thread may do at this very moment.
        if not submitted:
            submitted.append(None)
            submitted.append(sample.submit("exit", "0"))
        return describe(job)

    monkeypatch.setattr(Job, "describe", describe_and_submit)
    assert sample.describe(first)["jobId"] == first
    assert sample.finished(submitted[1])["status"] == "SUCCEEDED"


def test_jobs_that_are_not_there_are_left_out(sample):
    assert sample.batch.describe_jobs(jobs=["no-such-job"])["jobs"] == []


def test_many_jobs_at_once(sample):
    jobs = [sample.submit("exit", "0") for _ in range(12)]
    assert {sample.finished(job)["status"] for job in jobs} == {"SUCCEEDED"}


def test_job_that_cannot_start_says_why(sample):
    definition = sample.batch.register_job_definition(
        jobDefinitionName="unknown-image",
        type="container",
        containerProperties={"image": "elsewhere:tag", "vcpus": 1, "memory": 128, "command": ["x"]},
    )
    job_id = sample.batch.submit_job(
        jobName="test", jobQueue=sample.pipeline["JobQueue"], jobDefinition=definition["jobDefinitionArn"]
    )["jobId"]
    job = sample.finished(job_id)
    assert job["status"] == "FAILED"
    assert job["statusReason"].startswith("CannotStartContainerError: Image elsewhere:tag is not an asset")


def test_shortest_job_name(sample):
    """[batch_short_job_names]"""
    job = sample.batch.submit_job(
        jobName="j", jobQueue=sample.pipeline["JobQueue"], jobDefinition=sample.pipeline["JobDefinition"]
    )
    assert sample.finished(job["jobId"])["jobName"] == "j"


# --- without a cloud


def end(code=1, status="Essential container in task exited", reason="") -> Any:
    return AttemptEnd(exit_code=code, reason=reason, status_reason=status)


@pytest.mark.parametrize(
    ("rules", "attempt", "retried"),
    [
        ([], end(), True),
        ([{"onExitCode": "9", "action": "EXIT"}], end(1), True),
        ([{"onExitCode": "1", "action": "exit"}], end(1), False),
        ([{"onExitCode": "1*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}], end(137), True),
        ([{"onExitCode": "1", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}], end(137), False),
        ([{"onExitCode": "1", "onStatusReason": "Host*", "action": "EXIT"}], end(1), True),
        ([{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onExitCode": "*", "action": "EXIT"}], end(), False),
        ([{"onStatusReason": "Host EC2*", "action": "RETRY"}], end(None, "Host EC2 (i-1) terminated."), True),
    ],
)
def test_evaluate_on_exit(rules, attempt, retried):
    assert is_retried({"attempts": 3, "evaluateOnExit": rules}, attempt) is retried


def test_attempts_default_to_one():
    assert [attempts_allowed(s) for s in ({}, {"attempts": 0}, {"attempts": 4})] == [1, 1, 4]


def test_arguments_take_parameters_and_leave_unknown_references():
    properties = {"command": ["--a", "Ref::x", "--b=Ref::y", "Ref::z"]}
    assert job_arguments(properties, {}, {"x": "1", "y": "2"}) == ["--a", "1", "--b=2", "Ref::z"]
    assert job_arguments(properties, {"command": ["other"]}, {}) == ["other"]


def test_slots_are_given_in_order_and_a_big_job_gets_all_of_them():
    slots = Slots(2)
    with slots.taken(64, lambda: False) as taken:
        assert taken
        with slots.taken(1, lambda: True) as refused:
            assert not refused
    with slots.taken(0.25, lambda: False) as first, slots.taken(1, lambda: False) as second:
        assert first
        assert second
