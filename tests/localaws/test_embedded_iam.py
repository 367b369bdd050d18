"""IAM: the evaluation of policies, and its enforcement in front of every call."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from localaws.errors import LocalCloudError
from localaws.iam.policy import Decision, Requirement, evaluate


def document(*statements) -> Any:
    return [{"Version": "2012-10-17", "Statement": list(statements)}]


def allow(action, resource="*", **more) -> Any:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def decide(statements, action="s3:GetObject", resource="arn:aws:s3:::b/k", **context) -> Any:
    return evaluate(document(*statements), Requirement(action, resource, context))


@pytest.mark.parametrize(
    ("statements", "decision"),
    [
        ([], Decision.NOT_ALLOWED),
        ([allow("s3:getobject")], Decision.ALLOWED),
        ([allow(["s3:Put*", "s3:Get*"], ["arn:aws:s3:::b/*"])], Decision.ALLOWED),
        ([allow("s3:GetObject", "arn:aws:s3:::B/*")], Decision.NOT_ALLOWED),
        ([allow("s3:GetObjectTagging")], Decision.NOT_ALLOWED),
        ([allow("s3:Get?bject")], Decision.ALLOWED),
        ([allow("*"), {**allow("s3:*"), "Effect": "Deny"}], Decision.DENIED),
        ([{"Effect": "Allow", "NotAction": "s3:Put*", "Resource": "*"}], Decision.ALLOWED),
        ([{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::b/*"}], Decision.NOT_ALLOWED),
    ],
)
def test_statements(statements, decision):
    assert decide(statements) is decision


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"s3:prefix": ["a", "b"]}}, {"s3:prefix": "b"}, True),
        ({"StringEquals": {"s3:prefix": "a"}}, {}, False),
        ({"StringEqualsIfExists": {"s3:prefix": "a"}}, {}, True),
        ({"StringNotEquals": {"s3:prefix": ["a", "b"]}}, {"s3:prefix": "b"}, False),
        ({"StringNotEquals": {"s3:prefix": "a"}}, {}, True),
        ({"StringLike": {"S3:Prefix": "runs/*"}}, {"s3:prefix": "runs/1"}, True),
        ({"ArnLike": {"aws:principalarn": "arn:*:role/x"}}, {"aws:principalarn": "arn:aws:role/x"}, True),
        ({"Bool": {"aws:securetransport": "false"}}, {"aws:securetransport": "false"}, True),
        ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": "11"}, False),
        ({"Null": {"s3:prefix": "true"}}, {}, True),
        ({"StringEquals": {"a": "1"}, "Bool": {"b": "true"}}, {"a": "1", "b": "false"}, False),
    ],
)
def test_conditions(condition, context, holds):
    expected = Decision.ALLOWED if holds else Decision.NOT_ALLOWED
    assert decide([allow("*", Condition=condition)], **context) is expected


def test_unknown_condition_operator_is_an_error():
    with pytest.raises(LocalCloudError, match="DateLessThan"):
        decide([allow("*", Condition={"DateLessThan": {"aws:currenttime": "x"}})])


# --- enforcement, from inside the function whose role the template gives


def call(sample, service, method, **arguments) -> Any:
    return sample.invoke({"do": "call", "service": service, "method": method, "arguments": arguments})


def refused(answer, *words) -> Any:
    assert answer.get("FunctionError"), answer["Payload"]
    message = answer["Payload"]["errorMessage"]
    for word in words:
        assert word in message
    return message


def test_template_policies_allow_what_they_say(sample):
    bucket, table = sample.data["BucketName"], sample.data["TableName"]
    assert "FunctionError" not in call(sample, "s3", "put_object", Bucket=bucket, Key="open/a", Body="x")
    assert "FunctionError" not in call(sample, "s3", "head_object", Bucket=bucket, Key="open/a")
    listed = call(sample, "s3", "list_objects_v2", Bucket=bucket, Prefix="open/")
    assert listed["Payload"]["KeyCount"] == 1
    items = {table: [{"PutRequest": {"Item": {"pk": {"S": "1"}}}}]}
    assert "FunctionError" not in call(sample, "dynamodb", "batch_write_item", RequestItems=items)
    assert call(sample, "dynamodb", "get_item", TableName=table, Key={"pk": {"S": "1"}})["Payload"]["Item"]


def test_refusals_are_worded_as_aws_does(sample):
    bucket, table = sample.data["BucketName"], sample.data["TableName"]
    answer = call(sample, "dynamodb", "put_item", TableName=table, Item={"pk": {"S": "1"}})
    message = refused(answer, "AccessDeniedException", "dynamodb:PutItem", f":table/{table}")
    assert f"User: arn:aws:sts::123456789012:assumed-role/{sample.pipeline['FunctionRoleName']}/" in message
    assert "because no identity-based policy allows the dynamodb:PutItem action" in message
    refused(call(sample, "s3", "put_object", Bucket=bucket, Key="closed/a", Body="x"), "(AccessDenied)", "s3:PutObject")
    refused(call(sample, "s3", "list_objects_v2", Bucket=bucket), "(AccessDenied)", "s3:ListBucket")
    refused(call(sample, "s3", "head_object", Bucket=bucket, Key="closed/a"), "(403)")
    refused(call(sample, "lambda", "invoke", FunctionName="other"), "AccessDeniedException", "lambda:InvokeFunction")
    refused(call(sample, "batch", "describe_jobs", jobs=["x"]), "AccessDeniedException", "batch:DescribeJobs")
    refused(call(sample, "sqs", "list_queues"), "sqs:ListQueues")
    refused(call(sample, "iam", "list_roles"), "iam:ListRoles")
    assert any(one.action == "dynamodb:PutItem" and table in one.resource for one in sample.cloud.denied)


def test_copy_needs_source_and_target(sample):
    bucket = sample.data["BucketName"]
    sample.s3.put_object(Bucket=bucket, Key="closed/source", Body=b"x")
    source = {"Bucket": bucket, "Key": "closed/source"}
    refused(call(sample, "s3", "copy_object", Bucket=bucket, Key="open/copy", CopySource=source), "s3:GetObject")


def test_delete_needs_each_key(sample):
    bucket = sample.data["BucketName"]
    objects = {"Objects": [{"Key": "open/a&b"}]}
    refused(call(sample, "s3", "delete_objects", Bucket=bucket, Delete=objects), "s3:DeleteObject", "open/a&b")


def test_missing_object_without_list_permission_is_forbidden(sample):
    bucket = sample.data["BucketName"]
    refused(call(sample, "s3", "get_object", Bucket=bucket, Key="open/none"), "(AccessDenied)", "s3:ListBucket")
    with pytest.raises(ClientError) as missing:
        sample.s3.get_object(Bucket=bucket, Key="open/none")
    assert missing.value.response["Error"]["Code"] == "NoSuchKey"


def test_explicit_deny_is_named(sample):
    name = sample.pipeline["FunctionRoleName"]
    sample.iam.put_role_policy(
        RoleName=name,
        PolicyName="deny",
        PolicyDocument=json.dumps(document({**allow("s3:GetObject"), "Effect": "Deny"})[0]),
    )
    try:
        answer = call(sample, "s3", "get_object", Bucket=sample.data["BucketName"], Key="open/a")
        refused(answer, "with an explicit deny in an identity-based policy")
    finally:
        sample.iam.delete_role_policy(RoleName=name, PolicyName="deny")


@pytest.mark.parametrize(
    ("service", "method", "code"),
    [
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("dynamodb", "list_tables", "UnrecognizedClientException"),
        ("batch", "describe_job_queues", "UnrecognizedClientException"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
    ],
)
def test_unknown_keys_are_refused(sample, service, method, code):
    client = boto3.client(
        service,
        region_name=sample.cloud.region,
        endpoint_url=sample.cloud.endpoint_url,
        aws_access_key_id="AKIAUNKNOWNUNKNOWN00",
        aws_secret_access_key="x",
    )
    with pytest.raises(ClientError) as error:
        getattr(client, method)()
    assert error.value.response["Error"]["Code"] == code


def test_every_permission_of_the_machine_is_needed(sample):
    """Each one taken away makes the run fail, with AccessDenied's words."""
    needed = ["batch:SubmitJob", "batch:DescribeJobs", "events:PutTargets", "events:PutRule", "events:DescribeRule"]
    definition = {"StartAt": "A", "States": {"A": {**sample.batch_task("exit", "0"), "End": True}}}
    whole = sample.role_with("states.amazonaws.com", allow(needed))
    assert sample.run(definition, role=whole)["status"] == "SUCCEEDED"
    for missing in needed:
        rest = [one for one in needed if one != missing]
        result = sample.run(definition, role=sample.role_with("states.amazonaws.com", allow(rest)))
        assert result["status"] == "FAILED"
        assert f"is not authorized to perform: {missing} on resource: " in result["cause"]
