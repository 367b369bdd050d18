"""Lambda functions under the official runtime client. [lambda_processes]"""

from __future__ import annotations

import base64
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from localaws.processes import LOCAL_VARIABLES
from tests.conftest import ROOT


def test_answer_and_warm_reuse(sample):
    first = sample.invoke({"do": "count"})
    assert "FunctionError" not in first
    assert sample.invoke({"do": "count"})["Payload"] == first["Payload"] + 1


def test_error_of_the_handler_leaves_the_process_warm(sample):
    before = sample.invoke({"do": "count"})["Payload"]
    failed = sample.invoke({"do": "raise"})
    assert failed["FunctionError"] == "Unhandled"
    assert failed["Payload"]["errorType"] == "NotReadyError"
    assert failed["Payload"]["errorMessage"] == "not yet"
    assert "handlers.py" in "".join(failed["Payload"]["stackTrace"])
    assert sample.invoke({"do": "count"})["Payload"] == before + 2


def test_timeout_kills_the_process(sample):
    started = time.monotonic()
    failed = sample.invoke({"do": "sleep", "seconds": 60})
    assert time.monotonic() - started < 20
    assert failed["Payload"]["errorType"] == "Sandbox.Timedout"
    assert failed["Payload"]["errorMessage"].endswith("Task timed out after 3.00 seconds")
    assert sample.invoke({"do": "count"})["Payload"] == 1


def test_exit_of_the_process(sample):
    failed = sample.invoke({"do": "exit", "code": 5})
    assert failed["Payload"]["errorType"] == "Runtime.ExitError"
    assert failed["Payload"]["errorMessage"].endswith("Runtime exited with error: exit status 5")
    assert sample.invoke({"do": "echo"})["Payload"] == {"do": "echo"}


def test_import_error_is_an_init_error(sample):
    failed = sample.invoke({}, "BrokenFunctionName")
    assert failed["FunctionError"] == "Unhandled"
    assert "cannot be imported" in failed["Payload"]["errorMessage"]


def test_answer_over_the_limit(sample):
    failed = sample.invoke({"do": "big", "bytes": 6_300_000})
    assert failed["Payload"]["errorType"] == "Function.ResponseSizeTooLarge"


def test_environment_is_that_of_the_function_alone(sample, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "developer")
    monkeypatch.setenv("PYTHONPATH", "/developer")
    sample.invoke({"do": "exit", "code": 0})
    seen = sample.invoke({"do": "environment"})["Payload"]
    lambdas = {name for name in seen if name.startswith("AWS_LAMBDA_")}
    own = {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_REGION",
        "LAMBDA_RUNTIME_DIR",
    }
    own |= {"LAMBDA_TASK_ROOT", "LANG", "PYTHONPATH", *lambdas}
    found = set(seen) - {"folder", "remaining", "path", "version", "LC_CTYPE"}
    assert found == {"FROM_TEMPLATE", "FROM_START", *own, *LOCAL_VARIABLES}
    assert {name.removeprefix("AWS_LAMBDA_") for name in lambdas} == {
        *("FUNCTION_MEMORY_SIZE", "FUNCTION_NAME", "FUNCTION_VERSION", "INITIALIZATION_TYPE"),
        *("LOG_FORMAT", "LOG_GROUP_NAME", "LOG_STREAM_NAME", "RUNTIME_API"),
    }
    assert seen["FROM_TEMPLATE"] == sample.data["BucketName"]
    assert seen["FROM_START"] == "yes"
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == sample.pipeline["FunctionName"]
    assert seen["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert seen["AWS_ENDPOINT_URL"] == sample.cloud.endpoint_url
    assert seen["folder"] == seen["LAMBDA_TASK_ROOT"] == seen["PYTHONPATH"]
    assert seen["HOME"] != os.environ["HOME"]
    assert 0 < seen["remaining"] <= 3000
    assert "AWS_PROFILE" not in seen
    assert "/developer" not in seen["path"]


def test_the_role_of_the_function_is_used(sample):
    who = sample.invoke({"do": "call", "service": "sts", "method": "get_caller_identity", "arguments": {}})["Payload"]
    assert f"assumed-role/{sample.pipeline['FunctionRoleName']}/" in who["Arn"]


def test_invocations_at_once_have_a_process_each(sample):
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: sample.invoke({"do": "sleep", "seconds": 0.3}), range(3)))
    assert [answer["Payload"] for answer in answers] == ["awake"] * 3


def test_more_invocations_at_once_than_the_account_may_have_are_refused(sample, monkeypatch):
    monkeypatch.setattr(sample.cloud._functions, "concurrency", 2)

    def invoke(_: int) -> str:
        try:
            return str(sample.invoke({"do": "sleep", "seconds": 2})["Payload"])
        except ClientError as error:
            return f"{error.response['ResponseMetadata']['HTTPStatusCode']} {error.response['Error']['Code']}"

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(invoke, range(3))) == ["429 TooManyRequestsException", "awake", "awake"]
    assert invoke(0) == "awake"


def test_64_shards_that_end_at_once_get_through_a_concurrency_of_10(sample, monkeypatch):
    """With the retriers of the real VerifyShard; on AWS a new account has no more."""
    monkeypatch.setattr(sample.cloud._functions, "concurrency", 10)
    definition = json.loads((ROOT / "statemachine" / "embed_images.asl.json").read_text())
    verify = definition["States"]["EmbedShards"]["ItemProcessor"]["States"]["VerifyShard"]
    child = sample.lambda_task({"do": "sleep", "seconds": 0.5}, End=True, Retry=verify["Retry"])
    processor: dict[str, Any] = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    processor |= {"StartAt": "V", "States": {"V": child}}
    state = {"Type": "Map", "Label": "M", "ItemsPath": "$.items", "ItemProcessor": processor, "End": True}
    result = sample.run({"StartAt": "M", "States": {"M": state}}, {"items": list(range(64))})
    assert (result["status"], result["output"]) == ("SUCCEEDED", ["awake"] * 64)


def test_throttling_has_the_name_that_a_retrier_must_name(sample, monkeypatch):
    monkeypatch.setattr(sample.cloud._functions, "concurrency", 0)
    result = sample.run({"StartAt": "T", "States": {"T": sample.lambda_task({"do": "echo"}, End=True)}})
    assert result["error"] == "Lambda.TooManyRequestsException"


def test_logs_go_to_the_configured_group(sample):
    answer = sample.invoke({"do": "echo", "mark": "logged"}, LogType="Tail")
    assert b"hello from the log" in base64.b64decode(answer["LogResult"])
    logs = sample.cloud.client("logs")
    streams = logs.describe_log_streams(logGroupName="functions-of-the-test")["logStreams"]
    lines = [line for one in streams for line in sample.log("functions-of-the-test", one["logStreamName"])]
    assert "hello from the log" in lines
    assert any(line.startswith("START RequestId: ") for line in lines)
    assert any(line.startswith("REPORT RequestId: ") for line in lines)


def test_without_the_permission_logs_are_lost(sample):
    name = "without-logs"
    sample.cloud.client("lambda").create_function(
        FunctionName=name,
        Role=sample.role_with("lambda.amazonaws.com"),
        Runtime="python3.11",
        Handler="handlers.handler",
        Code={"S3Bucket": f"staging-{sample.cloud.account}-{sample.cloud.region}", "S3Key": "functions.zip"},
    )
    answer = sample.cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps({"do": "echo"}))
    assert "FunctionError" not in answer
    groups = sample.cloud.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")
    assert groups["logGroups"] == []
    assert any(one.action == "logs:CreateLogStream" and name in one.resource for one in sample.cloud.denied)
