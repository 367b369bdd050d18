"""Every combination of device, network, Spot, key and tracing: linted, and without a finding that has no reason."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from stepvec import codec, limits
from stepvec.estimate.capacity import Capacity
from tests.infra.acknowledged import ACKNOWLEDGED
from tests.infra.conftest import Synthesize, combinations
from tests.infra.test_templates import of_type, one


def named(settings: dict[str, Any]) -> str:
    return "-".join(str(value) if isinstance(value, str) else f"{name}={value}" for name, value in settings.items())


@pytest.mark.parametrize("settings", combinations(), ids=named)
def test_cdk_nag_finds_nothing_without_a_reason(synthesized: Synthesize, settings: dict[str, Any]) -> None:
    unjustified = [
        finding
        for finding in synthesized(**settings).findings
        if not any(acknowledged.covers(*finding) for acknowledged in ACKNOWLEDGED)
    ]
    assert not unjustified


def test_no_reason_is_left_over(synthesized: Synthesize) -> None:
    findings = {finding for settings in combinations() for finding in synthesized(**settings).findings}
    unused = [entry for entry in ACKNOWLEDGED if not any(entry.covers(*finding) for finding in findings)]
    assert not unused


@functools.cache
def linted(template: str) -> list[str]:
    """What cfn-lint says of a template; combinations share some."""
    # W3005: CDK writes DependsOn beside GetAtt, which is harmless.
    return [str(match) for match in lint(template, config=ManualArgs(ignore_checks=["W3005"]))]


@pytest.mark.parametrize("settings", combinations(), ids=named)
def test_cfn_lint_finds_nothing(synthesized: Synthesize, settings: dict[str, Any]) -> None:
    for template in synthesized(**settings).templates.values():
        assert not linted(json.dumps(template))


def test_only_a_table_that_is_to_be_warmed_says_so_and_so_does_the_plan_of_it(synthesized: Synthesize) -> None:
    cold, warm = synthesized(), synthesized(warm_throughput=[12_000, 16_000])
    assert "WarmThroughput" not in one(cold.data, "AWS::DynamoDB::GlobalTable")
    assert one(warm.data, "AWS::DynamoDB::GlobalTable")["WarmThroughput"] == {
        "WriteUnitsPerSecond": 12_000,
        "ReadUnitsPerSecond": 16_000,
    }
    assert not linted(json.dumps(warm.data))
    capacities = [
        codec.from_json(Capacity, template.pipeline["Outputs"]["Capacity"]["Value"], where="the output")
        for template in (cold, warm)
    ]
    assert [(each.table_write_units, each.table_read_units) for each in capacities] == [
        (4_000, 12_000),
        (12_000, 16_000),
    ]


def test_spot_comes_first_and_on_demand_second(synthesized: Synthesize) -> None:
    for spot, strategies in ((True, ["SPOT_PRICE_CAPACITY_OPTIMIZED", "BEST_FIT_PROGRESSIVE"]),
                             (False, ["BEST_FIT_PROGRESSIVE"])):  # fmt: skip
        template = synthesized(spot=spot).pipeline
        environments = of_type(template, "AWS::Batch::ComputeEnvironment")
        ordered = sorted(one(template, "AWS::Batch::JobQueue")["ComputeEnvironmentOrder"], key=lambda one: one["Order"])
        names = [entry["ComputeEnvironment"]["Fn::GetAtt"][0] for entry in ordered]
        assert len(names) <= limits.COMPUTE_ENVIRONMENTS_PER_QUEUE
        assert [environments[name]["ComputeResources"]["AllocationStrategy"] for name in names] == strategies


def test_a_gpu_job_has_one_gpu_and_says_so_to_the_worker(synthesized: Synthesize) -> None:
    template = synthesized(device="gpu").pipeline
    job = one(template, "AWS::Batch::JobDefinition")["ContainerProperties"]
    assert job["Command"] == ["--shard", "Ref::shard", "--device", "gpu"]
    needs = {entry["Type"]: entry["Value"] for entry in job["ResourceRequirements"]}
    assert needs == {"GPU": "1", "VCPU": "4", "MEMORY": "14000"}
    for environment in of_type(template, "AWS::Batch::ComputeEnvironment").values():
        resources = environment["ComputeResources"]
        assert resources["Ec2Configuration"] == [{"ImageType": "ECS_AL2023_NVIDIA"}]
        assert resources["InstanceTypes"] == ["g4dn", "g5", "g6"]


def test_a_private_network_has_no_way_out(synthesized: Synthesize) -> None:
    template = synthesized(network="private").pipeline
    for kind in ("AWS::EC2::InternetGateway", "AWS::EC2::NatGateway"):
        assert not of_type(template, kind)
    assert not any(subnet.get("MapPublicIpOnLaunch") for subnet in of_type(template, "AWS::EC2::Subnet").values())
    endpoints = of_type(template, "AWS::EC2::VPCEndpoint").values()
    kinds = sorted(endpoint["VpcEndpointType"] for endpoint in endpoints)
    assert kinds == ["Gateway"] * 2 + ["Interface"] * 6
    group = one_ingress(template)
    assert group["SourceSecurityGroupId"]
    assert (group["FromPort"], group["ToPort"]) == (443, 443)


def one_ingress(template: dict[str, Any]) -> Any:
    (ingress,) = of_type(template, "AWS::EC2::SecurityGroupIngress").values()
    return ingress


def test_with_a_key_everything_that_is_stored_is_encrypted_with_it(synthesized: Synthesize) -> None:
    both = synthesized(kms=True)
    for bucket in of_type(both.data, "AWS::S3::Bucket").values():
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["BucketKeyEnabled"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    table = one(both.data, "AWS::DynamoDB::GlobalTable")
    assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}
    assert "KMSMasterKeyId" in table["Replicas"][0]["SSESpecification"]
    assert one(both.pipeline, "AWS::SNS::Topic")["KmsMasterKeyId"]
    groups = of_type(both.pipeline, "AWS::Logs::LogGroup").values()
    assert len(groups) == 5
    assert all("KmsKeyId" in group for group in groups)
    key = next(r for r in both.data["Resources"].values() if r["Type"] == "AWS::KMS::Key")
    assert key["DeletionPolicy"] == "Retain"
    assert key["Properties"]["EnableKeyRotation"]


def test_with_a_key_every_role_that_reads_or_writes_may_use_it(synthesized: Synthesize) -> None:
    policies = of_type(synthesized(kms=True).pipeline, "AWS::IAM::Policy")
    with_key = {name for name, policy in policies.items() if "kms:Decrypt" in json.dumps(policy)}
    parts = ("ListImagesRole", "ShardImagesRole", "VerifyShardRole", "VerifyRunRole", "BatchJobRole", "EmbedImagesRole")
    assert {part for part in parts if any(part in name for name in with_key)} == set(parts)


def test_with_a_key_alarms_and_rules_may_still_publish(synthesized: Synthesize) -> None:
    statements = one(synthesized(kms=True).data, "AWS::KMS::Key")["KeyPolicy"]["Statement"]
    conditions = {
        service: [
            statement.get("Condition") for statement in statements if statement["Principal"].get("Service") == service
        ]
        for service in ("cloudwatch.amazonaws.com", "events.amazonaws.com")
    }
    # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html: "Adding the aws:SourceAccount, aws:SourceArn,
    # and aws:SourceOrgID to a AWS KMS policy is not supported for EventBridge-to-encrypted topics."
    assert conditions == {
        "cloudwatch.amazonaws.com": [{"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}],
        "events.amazonaws.com": [None],
    }


def test_tracing_is_on_only_where_asked(synthesized: Synthesize) -> None:
    for asked in (True, False):
        template = synthesized(xray=asked).pipeline
        machine = one(template, "AWS::StepFunctions::StateMachine")
        assert machine.get("TracingConfiguration", {}).get("Enabled", False) is asked
        for function in of_type(template, "AWS::Lambda::Function").values():
            assert (function.get("TracingConfig") == {"Mode": "Active"}) is asked


def test_a_bucket_and_a_table_of_ones_own_are_used_by_name_and_left_as_they_are(synthesized: Synthesize) -> None:
    own = synthesized(image_bucket="my-photos", table="my-vectors")
    assert len(of_type(own.data, "AWS::S3::Bucket")) == 1
    assert not of_type(own.data, "AWS::DynamoDB::GlobalTable")
    assert own.data["Outputs"]["ImageBucketName"]["Value"] == "my-photos"
    assert own.data["Outputs"]["TableName"]["Value"] == "my-vectors"
    assert ":s3:::my-photos/*" in json.dumps(own.pipeline)
    assert ":table/my-vectors" in json.dumps(own.pipeline)
    assert not [
        finding for finding in own.findings if not any(acknowledged.covers(*finding) for acknowledged in ACKNOWLEDGED)
    ]


def test_deletion_protection_is_a_setting(synthesized: Synthesize) -> None:
    for protected in (True, False):
        table = one(synthesized(deletion_protection=protected).data, "AWS::DynamoDB::GlobalTable")
        assert table["Replicas"][0]["DeletionProtectionEnabled"] is protected


def test_the_address_gets_the_topics_messages(synthesized: Synthesize) -> None:
    subscription = one(synthesized(alarm_email="team@example.com").pipeline, "AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "team@example.com")
