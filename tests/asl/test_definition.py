"""The state machine's file: what neither cfn-lint nor asl-validator catches, such as a misspelt error name."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest

from stacks.config import PipelineConfig
from stepvec.adapters.figures import load_throughput
from stepvec.limits import EXECUTION_HISTORY_EVENTS, LAMBDA_TIMEOUT_SECONDS
from stepvec.runs.run_input import MAX_SHARD_SIZE
from tests.conftest import ROOT

TEXT = (ROOT / "statemachine" / "embed_images.asl.json").read_text()
DEFINITION: dict[str, Any] = json.loads(TEXT)

LAMBDA_SERVICE_ERRORS = {
    # https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
}
LAMBDA_THROTTLES = {"Lambda.TooManyRequestsException"}
"""https://docs.aws.amazon.com/lambda/latest/dg/invocation-retries.html"""
BATCH_SUBMIT_ERRORS = {
    # Names differ between AWS's pages and its own examples; all that may mean "again" are there.
    "Batch.AWSBatchException",
    "Batch.BatchException",
    "Batch.ServerException",
    "Batch.SdkClientException",
    "Batch.TooManyRequestsException",
    "AWS.Batch.TooManyRequestsException",
}
OWN_ERRORS = {"InvalidInputError"}
STATE_FIELDS = {
    "Comment", "Type", "Next", "End", "Resource", "Parameters", "OutputPath", "ResultPath", "TimeoutSeconds", "Retry",
    "Catch", "Choices", "Default", "Error", "Cause", "CausePath", "Label", "ItemReader", "ItemSelector",
    "MaxConcurrencyPath", "ToleratedFailurePercentagePath", "ItemProcessor",
}  # fmt: skip
RETRY_FIELDS = {
    "ErrorEquals", "IntervalSeconds", "BackoffRate", "MaxAttempts", "MaxDelaySeconds", "JitterStrategy",
}  # fmt: skip


def machines(definition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield definition
    for state in definition["States"].values():
        if "ItemProcessor" in state:
            yield from machines(state["ItemProcessor"])


STATES = {name: state for machine in machines(DEFINITION) for name, state in machine["States"].items()}
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}


def following(state: dict[str, Any]) -> Iterator[str]:
    for source in (state, *state.get("Choices", []), *state.get("Catch", [])):
        if "Next" in source:
            yield source["Next"]
    if "Default" in state:
        yield state["Default"]


@pytest.mark.parametrize("machine", list(machines(DEFINITION)), ids=lambda machine: machine["StartAt"])
def test_every_state_is_reachable_and_leads_somewhere_that_exists(machine: dict[str, Any]) -> None:
    states, reached, to_visit = machine["States"], set[str](), [machine["StartAt"]]
    while to_visit:
        name = to_visit.pop()
        assert name in states, f"no state {name}"
        if name not in reached:
            reached.add(name)
            to_visit += following(states[name])
    assert reached == set(states)


@pytest.mark.parametrize("name", STATES)
def test_every_state_ends_or_goes_on_and_has_only_known_fields(name: str) -> None:
    state = STATES[name]
    assert set(state) <= STATE_FIELDS
    ends = state["Type"] in ("Succeed", "Fail") or state.get("End") is True
    assert ends != bool(list(following(state)))


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_timeout_and_a_retry_of_real_error_names_with_jitter(name: str) -> None:
    task = TASKS[name]
    is_batch = task["Resource"] == "arn:${Partition}:states:::batch:submitJob.sync"
    assert is_batch or task["Resource"] == "arn:${Partition}:states:::lambda:invoke"
    assert task["TimeoutSeconds"] > (0 if is_batch else LAMBDA_TIMEOUT_SECONDS)
    expected = [BATCH_SUBMIT_ERRORS] if is_batch else [LAMBDA_THROTTLES, LAMBDA_SERVICE_ERRORS]
    assert [set(retry["ErrorEquals"]) for retry in task["Retry"]] == expected
    for retry in task["Retry"]:
        assert set(retry) == RETRY_FIELDS
        assert retry["JitterStrategy"] == "FULL"
        assert retry["BackoffRate"] > 1
        assert retry["MaxAttempts"] >= 3


def test_no_partition_is_written_by_hand() -> None:
    assert "arn:aws:" not in TEXT


@pytest.mark.parametrize("images", [PipelineConfig().shard_size, MAX_SHARD_SIZE])
def test_64_shards_that_end_at_once_are_verified_with_a_lambda_concurrency_of_10(images: int) -> None:
    """New accounts have 10: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html

    The last of them waits while the others run, ten at a time. A retrier with full jitter waits each time for
    something between nothing and its delay: for n such waits of at most d seconds n*d/2 in the mean, with a standard
    deviation of d*sqrt(n/12). It must outlast the others even five deviations below the mean.
    """
    (retry, _) = STATES["VerifyShard"]["Retry"]
    steps = load_throughput().steps
    each = steps.function_start_seconds + images / steps.verify_rows_per_second
    others = math.ceil((64 - 1) / 10) * each
    delays = [
        min(retry["MaxDelaySeconds"], retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt)
        for attempt in range(retry["MaxAttempts"])
    ]
    mean, deviation = sum(delays) / 2, math.sqrt(sum(delay**2 for delay in delays) / 12)
    # Between two invocations a slot stays empty until the next of those that wait tries again: at most a delay.
    assert mean - 5 * deviation > others + math.ceil((64 - 1) / 10) * retry["MaxDelaySeconds"]
    # Three events a retry: a child must stay far from the end of its history.
    assert 3 * retry["MaxAttempts"] < EXECUTION_HISTORY_EVENTS / 10


def test_containers_are_retried_by_batch_and_only_the_submission_by_step_functions() -> None:
    retried = {error for retry in STATES["EmbedShard"]["Retry"] for error in retry["ErrorEquals"]}
    assert not retried & {"States.TaskFailed", "States.ALL", "States.Timeout"}


@pytest.mark.parametrize("name", [name for name, state in STATES.items() if "Catch" in state])
def test_catches_name_real_errors(name: str) -> None:
    for catch in STATES[name]["Catch"]:
        assert set(catch["ErrorEquals"]) <= OWN_ERRORS | {"States.ALL"}
        assert catch["ResultPath"] == "$.error"


def test_error_names_of_ours_are_classes_of_ours() -> None:
    from stepvec import errors

    assert all(hasattr(errors, name) for name in OWN_ERRORS)


def test_failures_say_what_failed() -> None:
    fails = {name: state for name, state in STATES.items() if state["Type"] == "Fail"}
    # No state of the Map's children: a failed child's result carries its metadata, and 258 of them pass 256 KiB.
    assert set(fails) == {"Incomplete", "InvalidInput"}
    for state in fails.values():
        assert state["Error"]
        assert state["CausePath"]


def test_children_answer_nothing_since_the_maps_result_must_stay_small() -> None:
    # ResultPath null does not help: the result is made, and measured, before it is dropped.
    children = STATES["EmbedShards"]["ItemProcessor"]["States"]
    ends = {name: state for name, state in children.items() if state["Type"] == "Succeed"}
    assert set(ends) == {"ShardComplete", "ShardIncomplete", "ShardNotVerified"}
    assert all(state["OutputPath"] is None for state in ends.values())


def test_no_child_fails_whatever_becomes_of_its_shard() -> None:
    children = STATES["EmbedShards"]["ItemProcessor"]["States"]
    for task in (state for state in children.values() if state["Type"] == "Task"):
        assert [catch["ErrorEquals"] for catch in task["Catch"]] == [["States.ALL"]]


def test_the_map_is_distributed_with_standard_children() -> None:
    # Batch's .sync is not there in Express workflows.
    config = STATES["EmbedShards"]["ItemProcessor"]["ProcessorConfig"]
    assert config == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}


def test_every_substitution_is_filled_and_none_is_left_over(templates: dict[str, Any]) -> None:
    (machine,) = (
        resource["Properties"]
        for resource in templates["StepvecPipeline"]["Resources"].values()
        if resource["Type"] == "AWS::StepFunctions::StateMachine"
    )
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) == set(machine["DefinitionSubstitutions"])
