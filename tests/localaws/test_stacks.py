"""Contract: what CloudFormation does with a stack that exists: updates in place, protections, deletion."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.cloudformation.api import CloudFormationApi
from localaws.cloudformation.assembly import read_assembly
from localaws.cloudformation.deployer import Deployer
from localaws.errors import TemplateError


class Stack:
    """A stack of its own, deployed again and again."""

    def __init__(self, sample: Any, folder: Any) -> None:
        self.cloud = sample.cloud
        self.name = f"S{uuid.uuid4().hex[:12]}"
        self.deployer = Deployer(self.cloud._context, self.cloud._batch, self.cloud._functions, sample.cloud.client)
        self._folder = folder

    def deploy(self, resources: dict[str, Any], *, is_protected: bool = False, **outputs: Any) -> dict[str, str]:
        properties = {
            "templateFile": "t.json",
            "stackName": self.name,
            "terminationProtection": is_protected,
        }
        manifest = {"artifacts": {"S": {"type": "aws:cloudformation:stack", "properties": properties}}}
        (self._folder / "manifest.json").write_text(json.dumps(manifest))
        template = {"Resources": resources, "Outputs": {name: {"Value": value} for name, value in outputs.items()}}
        (self._folder / "t.json").write_text(json.dumps(template))
        for stack in read_assembly(self._folder):
            self.deployer.deploy(stack)
        return self.deployer.outputs[self.name]

    def physical_id(self, logical_id: str) -> str:
        return self.deployer.physical_ids[self.name, logical_id]


@pytest.fixture
def stack(sample, tmp_path):
    return Stack(sample, tmp_path)


def definition(command: str, **more: Any) -> dict[str, Any]:
    container = {"Image": "repository:tag", "Command": [command], "Vcpus": 1, "Memory": 128}
    return {
        "Type": "AWS::Batch::JobDefinition",
        "Properties": {"Type": "container", "ContainerProperties": container, **more},
    }


@pytest.mark.parametrize("is_kept", [False, True])
def test_a_changed_job_definition_is_another_revision(sample, stack, is_kept):
    """[batch_inactive_definitions]"""
    more = {"ResourceRetentionPolicy": {"SkipDeregisterOnUpdate": True}} if is_kept else {}
    first = stack.deploy({"D": definition("one", **more)}, Arn={"Ref": "D"})["Arn"]
    assert stack.deploy({"D": definition("one", **more)}, Arn={"Ref": "D"})["Arn"] == first
    second = stack.deploy({"D": definition("two", **more)}, Arn={"Ref": "D"})["Arn"]
    assert (first[-2:], second[-2:]) == (":1", ":2")
    found = sample.batch.describe_job_definitions(jobDefinitions=[first, second])["jobDefinitions"]
    statuses = {one["jobDefinitionArn"]: one["status"] for one in found}
    assert statuses == {first: "ACTIVE" if is_kept else "INACTIVE", second: "ACTIVE"}
    submission = {"jobName": "j", "jobQueue": sample.pipeline["JobQueue"], "jobDefinition": first}
    if is_kept:
        sample.batch.submit_job(**submission)
    else:
        with pytest.raises(ClientError, match="is not ACTIVE"):
            sample.batch.submit_job(**submission)


def function(sample: Any, text: str, **variables: str) -> dict[str, Any]:
    code = (
        f"import os, time\n\ndef handle(event, context):\n    time.sleep(event.get('seconds', 0))\n    return {text}\n"
    )
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Code": {"ZipFile": code},
            "Handler": "index.handle",
            "Runtime": "python3.11",
            "Role": sample.role_with("lambda.amazonaws.com"),
            "Timeout": 20,
            "Environment": {"Variables": variables},
        },
    }


def test_a_changed_function_keeps_its_name_and_what_runs_ends_as_it_began(sample, stack):
    client = sample.cloud.client("lambda")

    def invoke(name: str, **event: Any) -> Any:
        return json.loads(client.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())

    template = function(sample, "['old', os.environ['V']]", V="1")
    arn = stack.deploy({"F": template}, Arn={"Fn::GetAtt": ["F", "Arn"]})["Arn"]
    name = stack.physical_id("F")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(invoke, name, seconds=3)
        time.sleep(1)
        changed = function(sample, "['new', os.environ['V']]", V="2")
        assert stack.deploy({"F": changed}, Arn={"Fn::GetAtt": ["F", "Arn"]})["Arn"] == arn
        assert invoke(name) == ["new", "2"]
        assert running.result() == ["old", "1"]
    assert client.get_function_configuration(FunctionName=name)["Environment"]["Variables"] == {"V": "2"}


def test_a_changed_policy_takes_the_place_of_the_old_one(sample, stack):
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "x"}}]}
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}

    def policy(name: str, action: str) -> dict[str, Any]:
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}
        properties = {"PolicyName": name, "PolicyDocument": document, "Roles": [{"Ref": "R"}]}
        return {"Type": "AWS::IAM::Policy", "Properties": properties}

    for name, action in (("p", "s3:GetObject"), ("p", "s3:PutObject"), ("q", "s3:ListBucket")):
        stack.deploy({"R": role, "P": policy(name, action)})
        role_name = stack.physical_id("R")
        assert sample.iam.list_role_policies(RoleName=role_name)["PolicyNames"] == [name]
        document = sample.iam.get_role_policy(RoleName=role_name, PolicyName=name)["PolicyDocument"]
        assert document["Statement"][0]["Action"] == action
    stack.deploy({"R": role})
    assert sample.iam.list_role_policies(RoleName=role_name)["PolicyNames"] == []


def test_an_execution_goes_on_with_the_definition_that_it_began_with(sample, stack):
    def machine(version: int) -> dict[str, Any]:
        states = {
            "W": {"Type": "Wait", "Seconds": 3, "Next": "P"},
            "P": {"Type": "Pass", "Result": version, "End": True},
        }
        properties = {"RoleArn": sample.pipeline["MachineRoleArn"], "Definition": {"StartAt": "W", "States": states}}
        return {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}

    executions = []
    for version in (1, 2):
        arn = stack.deploy({"M": machine(version)}, Arn={"Ref": "M"})["Arn"]
        executions.append(sample.states.start_execution(stateMachineArn=arn)["executionArn"])
    assert [sample.ended(one)["output"] for one in executions] == [1, 2]


def test_what_is_stored_stays(sample, stack):
    def resources(enabled: bool, seconds: int) -> dict[str, Any]:
        notification = {"EventBridgeConfiguration": {"EventBridgeEnabled": enabled}}
        table = {
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            "DeletionProtectionEnabled": enabled,
        }
        return {
            "B": {"Type": "AWS::S3::Bucket", "Properties": {"NotificationConfiguration": notification}},
            "T": {"Type": "AWS::DynamoDB::Table", "Properties": table},
            "Q": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": seconds}},
        }

    dynamodb, sqs = sample.cloud.client("dynamodb"), sample.cloud.client("sqs")
    stack.deploy(resources(False, 10))
    bucket, table, queue = (stack.physical_id(name) for name in "BTQ")
    sample.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    dynamodb.put_item(TableName=table, Item={"k": {"S": "v"}})
    sqs.send_message(QueueUrl=queue, MessageBody="m")
    stack.deploy(resources(True, 20))
    assert [stack.physical_id(name) for name in "BTQ"] == [bucket, table, queue]
    assert sample.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert dynamodb.scan(TableName=table)["Items"] == [{"k": {"S": "v"}}]
    assert dynamodb.describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert (attributes["VisibilityTimeout"], attributes["ApproximateNumberOfMessages"]) == ("20", "1")
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=table)


@pytest.mark.parametrize("kind", ["AWS::DynamoDB::GlobalTable", "AWS::DynamoDB::Table"])
def test_a_table_is_warmed_and_never_cooled(sample, stack, kind):
    def table(write: int | None) -> dict[str, Any]:
        warm = {"WarmThroughput": {"WriteUnitsPerSecond": write, "ReadUnitsPerSecond": 12_000}} if write else {}
        properties = {
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            **warm,
        }
        return {"T": {"Type": kind, "Properties": properties}}

    def warmth() -> int:
        described = dynamodb.describe_table(TableName=stack.physical_id("T"))["Table"]
        return int(described["WarmThroughput"]["WriteUnitsPerSecond"])

    dynamodb = sample.cloud.client("dynamodb")
    stack.deploy(table(8_000))
    name = stack.physical_id("T")
    assert warmth() == 8_000
    stack.deploy(table(12_000))
    assert (stack.physical_id("T"), warmth()) == (name, 12_000)
    with pytest.raises(TemplateError, match=r"12,000 WriteUnitsPerSecond, and cannot be decreased to 4,000"):
        stack.deploy(table(4_000))
    stack.deploy(table(None))
    assert warmth() == 12_000
    dynamodb.delete_table(TableName=name)


def test_what_would_be_replaced_is_refused(stack):
    stack.deploy({"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{stack.name}-1"}}})
    with pytest.raises(TemplateError, match=r"SQS::Queue Q .* \(QueueName is another\)"):
        stack.deploy({"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{stack.name}-2"}}})


def test_protections_and_deletion(sample, stack, monkeypatch):
    monkeypatch.setitem(
        sample.cloud._own_services,
        "cloudformation",
        CloudFormationApi(stack.deployer, sample.cloud.account, sample.cloud.region),
    )
    client, name = sample.cloud.client("cloudformation"), stack.name
    key = {"AttributeName": "k", "AttributeType": "S"}
    table = {
        "AttributeDefinitions": [key],
        "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
        "Replicas": [{"Region": "us-east-1", "DeletionProtectionEnabled": True}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    versioned = {"VersioningConfiguration": {"Status": "Enabled"}}
    resources = {
        "Kept": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
        "B": {"Type": "AWS::S3::Bucket", "Properties": versioned},
        "T": {"Type": "AWS::DynamoDB::GlobalTable", "Properties": table},
        "F": function(sample, "1"),
        "Q": {"Type": "AWS::SQS::Queue"},
    }
    stack.deploy(resources, is_protected=True, Bucket={"Ref": "Kept"})
    kept, bucket, protected, queue = (stack.physical_id(one) for one in ("Kept", "B", "T", "Q"))
    (described,) = client.describe_stacks(StackName=name)["Stacks"]
    assert (described["StackStatus"], described["EnableTerminationProtection"]) == ("CREATE_COMPLETE", True)
    assert described["Outputs"] == [{"OutputKey": "Bucket", "OutputValue": kept}]
    listed = client.list_stack_resources(StackName=name)["StackResourceSummaries"]
    assert {one["LogicalResourceId"] for one in listed} == set(resources)

    with pytest.raises(ClientError, match="cannot be deleted while TerminationProtection is enabled"):
        client.delete_stack(StackName=name)
    client.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    sample.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    sample.s3.delete_object(Bucket=bucket, Key="k")  # its versions stay
    client.delete_stack(StackName=name)
    (described,) = client.describe_stacks(StackName=name)["Stacks"]
    assert described["StackStatus"] == "DELETE_FAILED"
    left = {one["LogicalResourceId"] for one in client.list_stack_resources(StackName=name)["StackResourceSummaries"]}
    assert left == {"B", "T"}
    assert queue not in sample.cloud.client("sqs").list_queues().get("QueueUrls", [])

    versions = sample.s3.list_object_versions(Bucket=bucket)
    for one in [*versions["Versions"], *versions["DeleteMarkers"]]:
        sample.s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
    sample.cloud.client("dynamodb").update_table(TableName=protected, DeletionProtectionEnabled=False)
    client.delete_stack(StackName=name)
    client.delete_stack(StackName=name)
    with pytest.raises(ClientError, match=f"Stack with id {name} does not exist"):
        client.describe_stacks(StackName=name)
    buckets = {one["Name"] for one in sample.s3.list_buckets()["Buckets"]}
    assert (kept in buckets, bucket in buckets) == (True, False)
