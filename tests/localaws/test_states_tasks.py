"""Contract: Task states that run Batch jobs and Lambda functions. Names in brackets are those of the patches."""

from __future__ import annotations

import json
from typing import Any

from moto.batch.models import BatchBackend


def one(state: dict[str, Any], **more: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": "A", "States": {"A": state if "Next" in state else {**state, "End": True}, **more}}


PASS = {"Type": "Pass", "End": True}


def test_batch_job_runs_with_the_definitions_letter_case_and_gives_its_description(sample):
    """[states_letter_case]"""
    result = sample.run(one(sample.batch_task("exit", "0")))
    assert result["status"] == "SUCCEEDED", result
    assert result["output"]["Status"] == "SUCCEEDED"
    assert result["output"]["Container"]["ExitCode"] == 0
    assert result["output"]["Attempts"][0]["Container"]["ExitCode"] == 0


def test_parameters_and_environment_overrides_reach_the_job(sample):
    task = sample.batch_task(
        Parameters={
            "Parameters": {"action": "environment", "value.$": "$.word"},
            "ContainerOverrides": {"Environment": [{"Name": "COLOUR", "Value.$": "$.colour"}]},
        }
    )
    result = sample.run(one(task), {"word": "hello", "colour": "green"})
    job = sample.describe(result["output"]["JobId"])
    environment = json.loads(sample.job_log(job)[0])
    assert environment["arguments"] == ["hello"]
    assert environment["COLOUR"] == "green"
    assert environment["MANAGED_BY_AWS"] == "STARTED_BY_STEP_FUNCTIONS"


def test_failed_batch_job_is_caught_as_task_failed_with_the_job_as_cause(sample):
    task = sample.batch_task(
        "exit", "3", Catch=[{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "B"}], Next="B"
    )
    result = sample.run(one(task, B=PASS), {"kept": 1})
    assert result["output"]["kept"] == 1
    assert result["output"]["error"]["Error"] == "States.TaskFailed"
    cause = json.loads(result["output"]["error"]["Cause"])
    assert cause["Status"] == "FAILED"
    assert cause["Attempts"][0]["Container"]["ExitCode"] == 3
    assert cause["StatusReason"] == "Essential container in task exited"


def test_retry_of_a_batch_task_submits_another_job(sample):
    """[states_sync_retry]"""
    retry = [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 1, "BackoffRate": 1}]
    result = sample.run(one(sample.batch_task("exit", "3", Retry=retry)))
    assert result["error"] == "States.TaskFailed"
    history = sample.states.get_execution_history(executionArn=result["executionArn"])["events"]
    assert sum(event["type"] == "TaskSubmitted" for event in history) == 2


def test_retry_strategy_of_the_definition_is_used(sample):
    """[batch_submitted_retry_strategy]"""
    task = sample.batch_task("exit-by-attempt", "1", "0", Parameters={"RetryStrategy": {"Attempts": 2}})
    result = sample.run(one(task))
    assert result["status"] == "SUCCEEDED"
    assert [a["Container"]["ExitCode"] for a in result["output"]["Attempts"]] == [1, 0]


def test_stopping_an_execution_terminates_its_job(sample, polling):
    """[states_terminate_jobs]"""
    execution = sample.start(one(sample.batch_task("sleep", "50")))
    job_id = polling(lambda: _running_job(sample, execution), "a running job")
    sample.wait_for_line(job_id, "sleeping")
    sample.states.stop_execution(executionArn=execution, error="Enough", cause="because")
    job = sample.finished(job_id)
    assert job["status"] == "FAILED"
    assert "Step Functions" in job["statusReason"]
    assert sample.ended(execution)["status"] == "ABORTED"


def _running_job(sample, execution) -> Any:
    events = sample.states.get_execution_history(executionArn=execution)["events"]
    for event in events:
        if event["type"] == "TaskSubmitted":
            return json.loads(event["taskSubmittedEventDetails"]["output"])["JobId"]
    return None


def test_task_timeout_is_caught_and_terminates_the_job(sample):
    task = sample.batch_task(
        "sleep", "50", TimeoutSeconds=1, Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "B"}], Next="B"
    )
    result = sample.run(one(task, B=PASS))
    assert result["output"]["Error"] == "States.Timeout"
    assert sample.finished(_running_job(sample, result["executionArn"]))["status"] == "FAILED"


def test_timeout_of_the_machine(sample):
    result = sample.run({"TimeoutSeconds": 1, **one({"Type": "Wait", "Seconds": 20})})
    assert result["status"] == "TIMED_OUT"


def test_lambda_is_invoked_and_its_payload_is_the_output(sample):
    result = sample.ended(
        sample.states.start_execution(
            stateMachineArn=sample.pipeline["MachineArn"], name="from-the-template", input='{"k": [1]}'
        )["executionArn"]
    )
    assert result["output"] == {"k": [1]}


def test_lambda_error_is_caught_by_its_class_name(sample):
    task = sample.lambda_task(
        {"do": "raise"}, Catch=[{"ErrorEquals": ["NotReadyError"], "ResultPath": "$.error", "Next": "B"}], Next="B"
    )
    result = sample.run(one(task, B=PASS))
    assert result["output"]["error"]["Error"] == "NotReadyError"
    assert json.loads(result["output"]["error"]["Cause"])["errorMessage"] == "not yet"


def test_lambda_error_is_retried_by_its_class_name(sample):
    retry = [{"ErrorEquals": ["NotReadyError"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 1}]
    # One execution environment serves both attempts, and counts them.
    result = sample.run(one(sample.lambda_task({"do": "raise-n-times", "n": 1, "name": "retried"}, Retry=retry)))
    assert (result["status"], result["output"]) == ("SUCCEEDED", 2)


def test_missing_function_has_the_services_error_name(sample):
    task = sample.lambda_task({})
    task["Parameters"]["FunctionName"] = "no-such-function"
    assert sample.run(one(task))["error"] == "Lambda.ResourceNotFoundException"


def test_refused_calls_have_the_sdks_base_error_names(sample):
    """[states_sdk_error_names] [states_execution_role]"""
    events = {"Effect": "Allow", "Action": "events:*", "Resource": "*"}
    role = sample.role_with("states.amazonaws.com", events)
    refused = sample.run(one(sample.batch_task("exit", "0")), role=role)
    assert refused["error"] == "Batch.AWSBatchException"
    assert "is not authorized to perform: batch:SubmitJob on resource: arn:aws:batch:" in refused["cause"]
    refused = sample.run(one(sample.lambda_task({})), role=role)
    assert refused["error"] == "Lambda.AWSLambdaException"
    assert "lambda:InvokeFunction" in refused["cause"]


def test_unknown_job_queue_is_a_client_exception(sample):
    task = sample.batch_task("exit", "0", Parameters={"JobQueue": "no-such-queue"})
    assert sample.run(one(task))["error"] == "Batch.ClientException"


def test_sync_needs_the_managed_rule(sample):
    """[states_managed_rule]"""
    batch = {"Effect": "Allow", "Action": "batch:*", "Resource": "*"}
    some = {"Effect": "Allow", "Action": ["events:PutRule", "events:DescribeRule"], "Resource": "*"}
    result = sample.run(one(sample.batch_task("exit", "0")), role=sample.role_with("states.amazonaws.com", batch, some))
    assert result["error"] == "States.Permissions"
    assert "events:PutTargets" in result["cause"]
    assert "StepFunctionsGetEventsForBatchJobsRule" in result["cause"]


def test_waiting_tasks_do_not_ask_all_the_time(sample, monkeypatch):
    """[states_wait_for_jobs]"""
    asked = []
    describe_jobs = BatchBackend.describe_jobs

    def counting(backend, jobs) -> Any:
        asked.append(jobs)
        return describe_jobs(backend, jobs)

    monkeypatch.setattr(BatchBackend, "describe_jobs", counting)
    assert sample.run(one(sample.batch_task("sleep", "1.5")))["status"] == "SUCCEEDED"
    assert len(asked) == 2
