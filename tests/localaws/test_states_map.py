"""Contract: the Distributed Map. Names in brackets are those of the patches."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

OK_OR_FAIL = {
    "StartAt": "C",
    "States": {
        "C": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.bad", "BooleanEquals": True, "Next": "F"}],
            "Default": "P",
        },
        "F": {"Type": "Fail", "Error": "Bad", "Cause": "it was"},
        "P": {"Type": "Pass", "End": True},
    },
}


def distributed(child=OK_OR_FAIL, **fields) -> Any:
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **child}
    state = {"Type": "Map", "Label": "Items", "ItemsPath": "$.items", "ItemProcessor": processor, **fields}
    return {"StartAt": "M", "States": {"M": {**state, "End": True}}}


def items(count, *bad) -> Any:
    return {"items": [{"n": n, "bad": n in bad} for n in range(count)]}


def map_run(sample, execution) -> Any:
    (run,) = sample.states.list_map_runs(executionArn=execution["executionArn"])["mapRuns"]
    return sample.states.describe_map_run(mapRunArn=run["mapRunArn"])


def test_a_failed_child_fails_the_map(sample):
    """[map_tolerance]"""
    result = sample.run(distributed(), items(3, 1))
    assert result["error"] == "States.ExceedToleratedFailureThreshold"
    assert map_run(sample, result)["status"] == "FAILED"


@pytest.mark.parametrize(
    ("tolerance", "bad", "status"),
    [
        ({"ToleratedFailurePercentage": 50.0}, (0, 1), "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 49.5}, (0, 1), "FAILED"),
        ({"ToleratedFailurePercentagePath": "$.percentage"}, (0, 1), "SUCCEEDED"),
        ({"ToleratedFailureCount": 2}, (0, 1), "SUCCEEDED"),
        ({"ToleratedFailureCount": 1}, (0, 1), "FAILED"),
        ({"ToleratedFailureCount": 1, "ToleratedFailurePercentage": 100.0}, (0, 1), "FAILED"),
    ],
)
def test_tolerance(sample, tolerance, bad, status):
    """[map_tolerance]"""
    result = sample.run(distributed(**tolerance), {**items(4, *bad), "percentage": 50})
    assert result["status"] == status, result


def test_whole_percentage(sample):
    """[states_whole_percentages]"""
    assert sample.run(distributed(ToleratedFailurePercentage=50), items(2, 0))["status"] == "SUCCEEDED"


def test_full_tolerance_lets_the_siblings_go_on_and_counts(sample):
    """[map_tolerance]"""
    result = sample.run(distributed(ToleratedFailurePercentage=100, MaxConcurrency=1), items(5, 0, 3))
    assert result["status"] == "SUCCEEDED"
    run = map_run(sample, result)
    for counts in (run["itemCounts"], run["executionCounts"]):
        expected = {"total": 5, "succeeded": 3, "failed": 2, "running": 0, "pending": 0, "aborted": 0}
        assert {name: counts[name] for name in expected} == expected
    assert run["toleratedFailurePercentage"] == 100


def test_a_tolerated_failed_child_gives_its_metadata(sample):
    """[map_tolerance]"""
    result = sample.run(distributed(ToleratedFailurePercentage=100), items(2, 1))
    whole, failed = result["output"]
    assert whole == {"n": 0, "bad": False}
    machine = result["stateMachineArn"]
    assert failed["StateMachineArn"].startswith(f"{machine}/")
    assert failed["ExecutionArn"].startswith(machine.replace(":stateMachine:", ":execution:"))
    assert failed["ExecutionArn"].endswith(f":{failed['Name']}")
    assert (failed["Status"], failed["Error"]) == ("FAILED", "Bad")
    assert json.loads(failed["Input"]) == {"n": 1, "bad": True}
    assert failed["StartDate"] <= failed["StopDate"]


def test_many_tolerated_failures_are_over_the_limit(sample):
    """[map_result_limit] A child that fails costs 700 bytes and its cause, even with ResultPath null."""
    child = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "Bad", "Cause": "x" * 300}}}
    few = sample.run(distributed(child, ToleratedFailurePercentage=100, ResultPath=None), items(200))
    many = sample.run(distributed(child, ToleratedFailurePercentage=100, ResultPath=None), items(300))
    assert (few["status"], many["error"]) == ("SUCCEEDED", "States.DataLimitExceeded")


def test_numbers_by_path_from_text(sample):
    definition = distributed(MaxConcurrencyPath="$.c", ToleratedFailurePercentagePath="$.p")
    definition["StartAt"] = "N"
    definition["States"]["N"] = {
        "Type": "Pass",
        "Parameters": {
            "items.$": "$.items",
            "c.$": "States.StringToJson('4')",
            "p.$": "States.StringToJson('100')",
        },
        "Next": "M",
    }
    result = sample.run(definition, items(3, 1))
    assert result["status"] == "SUCCEEDED"
    run = map_run(sample, result)
    assert (run["maxConcurrency"], run["toleratedFailurePercentage"]) == (4, 100)


def test_item_reader_and_selector(sample):
    bucket = sample.data["BucketName"]
    sample.s3.put_object(Bucket=bucket, Key="map/shards.json", Body=json.dumps([{"shard": 0}, {"shard": 1}]))
    child = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    definition = distributed(
        child,
        ItemReader={
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket": bucket, "Key.$": "$.key"},
        },
        ItemSelector={"item.$": "$$.Map.Item.Value", "index.$": "$$.Map.Item.Index", "run.$": "$.run"},
    )
    del definition["States"]["M"]["ItemsPath"]
    result = sample.run(definition, {"key": "map/shards.json", "run": "r"})
    assert result["output"] == [{"item": {"shard": n}, "index": n, "run": "r"} for n in (0, 1)]


def test_list_that_is_not_there_is_an_item_reader_error(sample):
    """[map_reader_errors]"""
    definition = distributed(
        ItemReader={
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket": sample.data["BucketName"], "Key": "no/such.json"},
        }
    )
    del definition["States"]["M"]["ItemsPath"]
    assert sample.run(definition)["error"] == "States.ItemReaderFailed"


def test_empty_list(sample):
    result = sample.run(distributed(), items(0))
    assert (result["status"], result["output"]) == ("SUCCEEDED", [])


def test_many_items_with_one_worker(sample):
    """[map_loop]"""
    child = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": 1, "End": True}}}
    result = sample.run(distributed(child, MaxConcurrency=1), {"items": list(range(1100))})
    assert result["status"] == "SUCCEEDED", result
    assert len(result["output"]) == 1100


def test_high_concurrency_starts_no_idle_workers(sample, monkeypatch):
    """[map_workers]"""
    started = []
    start = threading.Thread.start

    def counting(thread) -> Any:
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", counting)
    result = sample.run(distributed(MaxConcurrency=3000), items(2))
    assert result["status"] == "SUCCEEDED"
    assert len(started) < 500


def test_result_over_the_limit_fails(sample):
    """[map_result_limit]"""
    child = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": "x" * 3000, "End": True}}}
    result = sample.run(distributed(child, ResultPath=None), items(100))
    assert result["error"] == "States.DataLimitExceeded"


def test_needs_start_execution_on_itself(sample):
    """[map_start_execution]"""
    role = sample.role_with("states.amazonaws.com", {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    result = sample.run(distributed(), items(1), role=role)
    assert result["error"] == "States.Permissions"
    assert "states:StartExecution" in result["cause"]


def test_failed_map_ends_the_jobs_of_its_other_children(sample, polling):
    """[states_terminate_jobs] [map_tolerance]"""
    child = {
        "StartAt": "C",
        "States": {
            "C": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.bad", "BooleanEquals": True, "Next": "W"}],
                "Default": "J",
            },
            "W": {**sample.batch_task("exit", "1"), "End": True},
            "J": {**sample.batch_task("sleep", "50"), "End": True},
        },
    }
    before = _job_ids(sample)
    result = sample.run(distributed(child), items(2, 1))
    assert result["error"] == "States.ExceedToleratedFailureThreshold"
    new = _job_ids(sample) - before
    assert len(new) == 2
    assert {sample.finished(job)["status"] for job in new} == {"FAILED"}
    polling(lambda: map_run(sample, result)["itemCounts"]["running"] == 0, "the end of the children")
    counts = map_run(sample, result)["itemCounts"]
    assert (counts["failed"], counts["aborted"], counts["succeeded"]) == (1, 1, 0)


def _job_ids(sample) -> Any:
    statuses = ("SUBMITTED", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
    queue = sample.pipeline["JobQueue"]
    return {
        job["jobId"]
        for status in statuses
        for job in sample.batch.list_jobs(jobQueue=queue, jobStatus=status)["jobSummaryList"]
    }


def test_child_failure_after_catch_and_retries_is_seen_in_the_history(sample):
    result = sample.run(distributed(), items(1, 0))
    events = sample.states.get_execution_history(executionArn=result["executionArn"])["events"]
    types = [event["type"] for event in events]
    assert "MapRunFailed" in types
    assert types[-1] == "ExecutionFailed"
