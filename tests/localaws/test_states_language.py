"""Contract: what else of the Amazon States Language the pipeline uses."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def one(state, **more) -> Any:
    return {"StartAt": "A", "States": {"A": state if "Next" in state else {**state, "End": True}, **more}}


def test_result_path_null_keeps_the_input(sample):
    result = sample.run(one({"Type": "Pass", "Result": {"x": 1}, "ResultPath": None}), {"kept": True})
    assert result["output"] == {"kept": True}


@pytest.mark.parametrize(("flag", "expected"), [(True, "yes"), (False, "no")])
def test_choice_on_booleans(sample, flag, expected):
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.done", "BooleanEquals": False, "Next": "No"}],
        "Default": "Yes",
        "Next": "",
    }
    del choice["Next"]
    definition = {
        "StartAt": "A",
        "States": {
            "A": choice,
            "Yes": {"Type": "Pass", "Result": "yes", "End": True},
            "No": {"Type": "Pass", "Result": "no", "End": True},
        },
    }
    assert sample.run(definition, {"done": flag})["output"] == expected


def test_execution_name_and_start_time_in_the_context(sample):
    result = sample.run(
        one({"Type": "Pass", "Parameters": {"run.$": "$$.Execution.Name", "at.$": "$$.Execution.StartTime"}})
    )
    assert result["output"]["run"] == result["name"]
    assert result["output"]["at"].startswith("20")


def test_fail_passes_on_states_errors_from_its_paths(sample):
    """[states_fail_names]"""
    result = sample.run(
        {"StartAt": "F", "States": {"F": {"Type": "Fail", "ErrorPath": "$.e", "CausePath": "$.c"}}},
        {"e": "States.TaskFailed", "c": "the cause"},
    )
    assert (result["status"], result["error"], result["cause"]) == ("FAILED", "States.TaskFailed", "the cause")


def test_fail_makes_its_cause_with_an_intrinsic(sample):
    result = sample.run(
        {
            "StartAt": "F",
            "States": {
                "F": {"Type": "Fail", "Error": "Incomplete", "CausePath": "States.Format('{} of {}', $.a, $.b)"}
            },
        },
        {"a": 1, "b": 2},
    )
    assert (result["error"], result["cause"]) == ("Incomplete", "1 of 2")


def test_string_to_json_makes_numbers(sample):
    result = sample.run(one({"Type": "Pass", "Parameters": {"n.$": "States.StringToJson('4')"}}))
    assert result["output"] == {"n": 4}


def test_output_that_holds_times_is_json(sample):
    """[states_output_json]"""
    sample.s3.put_object(Bucket=sample.data["BucketName"], Key="times/one", Body=b"x")
    result = sample.run(
        one(
            {
                "Type": "Task",
                "Resource": "arn:aws:states:::aws-sdk:s3:listObjectsV2",
                "Parameters": {"Bucket": sample.data["BucketName"], "Prefix": "times/"},
            }
        )
    )
    assert result["output"]["Contents"][0]["LastModified"].startswith("20")


def test_execution_name_is_used_once(sample):
    machine = sample.pipeline["MachineArn"]
    first = sample.states.start_execution(stateMachineArn=machine, name="once", input="{}")["executionArn"]
    sample.ended(first)
    with pytest.raises(ClientError) as refused:
        sample.states.start_execution(stateMachineArn=machine, name="once", input='{"other": 1}')
    assert refused.value.response["Error"]["Code"] == "ExecutionAlreadyExists"


def test_several_executions_run_at_once(sample):
    executions = [sample.start(one({"Type": "Wait", "Seconds": 1})) for _ in range(3)]
    assert [sample.ended(one)["status"] for one in executions] == ["SUCCEEDED"] * 3


def test_state_output_over_the_limit_fails(sample):
    result = sample.run(one(sample.lambda_task({"do": "big", "bytes": 300_000})))
    assert result["error"] == "States.DataLimitExceeded"


def test_stopped_execution_is_aborted_at_once(sample, polling):
    """[states_stop_at_once]"""
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 30, "MaxAttempts": 1}]
    execution = sample.start(one(sample.lambda_task({"do": "raise"}, Retry=retry)))
    history = sample.states.get_execution_history
    polling(
        lambda: any(event["type"] == "TaskFailed" for event in history(executionArn=execution)["events"]),
        "the first attempt's failure",
    )
    sample.states.stop_execution(executionArn=execution, error="Enough", cause="because")
    stopped = sample.states.describe_execution(executionArn=execution)
    assert (stopped["status"], stopped["error"], stopped["cause"]) == ("ABORTED", "Enough", "because")
    assert stopped["stopDate"] >= stopped["startDate"]


REFUSED = [" ", "a b", "a\tb", "a?", "a*", "a#b", "a/b", "a%", "a:b", "{a}", "<a>", 'a"', "a\x7f", "a\x01", "a" * 81]


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_aws_refuses(sample, name):
    """[states_execution_names]"""
    machine = sample.machine({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}})
    with pytest.raises(ClientError) as refused:
        sample.states.start_execution(stateMachineArn=machine, name=name)
    # Longer than 80 is the service's, too, but the service's model says so first.
    assert refused.value.response["Error"]["Code"] == "InvalidName"
    for accepted in ("a" * 80, "ä-日本_.=@!'()+"):
        sample.states.start_execution(stateMachineArn=machine, name=accepted)


def test_executions_without_a_name_get_one_each(sample):
    """[states_execution_names]"""
    passing = {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}}
    machine = sample.machine(passing)
    arns = {sample.states.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(2)}
    assert len(arns) == 2
    assert all(len(arn.rsplit(":", 1)[-1]) == 36 for arn in arns)
