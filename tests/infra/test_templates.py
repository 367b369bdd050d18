"""The synthesized templates: what a deployment would create, and who may do what."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from localaws.batch.retry import AttemptEnd, is_retried
from stacks.config import PipelineConfig, read_config
from stacks.devices import DEVICES, DeviceName
from stepvec import limits
from stepvec.adapters.environment import PREFIX
from stepvec.errors import ConfigurationError, WeightsError
from stepvec.exit_codes import DO_NOT_RETRY, TERMINATED, TRY_AGAIN
from stepvec.rows.processors import Processor
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from tests.conftest import ROOT
from tests.infra.conftest import Synthesize

PIPELINE = "StepvecPipeline"


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def one(template: dict[str, Any], kind: str) -> dict[str, Any]:
    (properties,) = of_type(template, kind).values()
    return properties


def statements(template: dict[str, Any]) -> list[dict[str, Any]]:
    documents = [policy["PolicyDocument"] for policy in of_type(template, "AWS::IAM::Policy").values()]
    for role in of_type(template, "AWS::IAM::Role").values():
        documents += [policy["PolicyDocument"] for policy in role.get("Policies", [])]
    return [statement for document in documents for statement in document["Statement"]]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_data_outlives_its_stack(templates: dict[str, Any]) -> None:
    kept = {
        resource["Type"]: resource["DeletionPolicy"]
        for resource in templates["StepvecData"]["Resources"].values()
        if resource["Type"] in ("AWS::S3::Bucket", "AWS::DynamoDB::GlobalTable")
    }
    assert kept == {"AWS::S3::Bucket": "Retain", "AWS::DynamoDB::GlobalTable": "Retain"}


def test_what_can_be_lost_can_be_had_back(templates: dict[str, Any]) -> None:
    template = templates["StepvecData"]
    buckets = of_type(template, "AWS::S3::Bucket")
    versioned = {name for name, bucket in buckets.items() if "VersioningConfiguration" in bucket}
    assert [name.startswith("Images") for name in versioned] == [True], "work files can be made again"
    (images,) = (buckets[name] for name in versioned)
    assert any("NoncurrentVersionExpiration" in rule for rule in images["LifecycleConfiguration"]["Rules"])
    (work,) = (bucket for name, bucket in buckets.items() if name not in versioned)
    expiring = {rule.get("Prefix"): rule.get("ExpirationInDays") for rule in work["LifecycleConfiguration"]["Rules"]}
    assert expiring == {None: None, "known-failures/": 400}, "nothing else of a run goes by itself"
    (replica,) = one(template, "AWS::DynamoDB::GlobalTable")["Replicas"]
    assert replica["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert replica["DeletionProtectionEnabled"]


def test_buckets_are_private_encrypted_and_tls_only(templates: dict[str, Any]) -> None:
    buckets = of_type(templates["StepvecData"], "AWS::S3::Bucket")
    assert len(buckets) == 2
    for bucket in buckets.values():
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert bucket["BucketEncryption"]
    assert len(of_type(templates["StepvecData"], "AWS::S3::BucketPolicy")) == 2


def test_the_table_is_on_demand_and_keyed_by_image_id(templates: dict[str, Any]) -> None:
    table = one(templates["StepvecData"], "AWS::DynamoDB::GlobalTable")
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == [{"AttributeName": "ImageId", "KeyType": "HASH"}]


@pytest.mark.parametrize("stack", ["StepvecData", PIPELINE])
def test_nothing_has_a_fixed_physical_name(templates: dict[str, Any], stack: str) -> None:
    names = {
        "BucketName", "TableName", "FunctionName", "RoleName", "StateMachineName", "JobQueueName",
        "JobDefinitionName", "ComputeEnvironmentName", "LogGroupName", "TopicName", "AlarmName", "DashboardName",
        "LaunchTemplateName", "AliasName",
    }  # fmt: skip
    for resource in templates[stack]["Resources"].values():
        assert not names & set(resource.get("Properties", {})), resource["Type"]


def test_costs_nothing_when_idle(templates: dict[str, Any]) -> None:
    template = templates[PIPELINE]
    assert not of_type(template, "AWS::EC2::NatGateway")
    assert {entry["VpcEndpointType"] for entry in of_type(template, "AWS::EC2::VPCEndpoint").values()} == {"Gateway"}
    for environment in of_type(template, "AWS::Batch::ComputeEnvironment").values():
        resources = environment["ComputeResources"]
        assert resources["MinvCpus"] == 0
        assert resources["Ec2Configuration"] == [{"ImageType": "ECS_AL2023"}]


def test_an_instance_gives_its_credentials_to_no_container_and_encrypts_its_disk(templates: dict[str, Any]) -> None:
    template = templates[PIPELINE]
    data = one(template, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]
    assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    assert [device["Ebs"]["Encrypted"] for device in data["BlockDeviceMappings"]] == [True]
    for environment in of_type(template, "AWS::Batch::ComputeEnvironment").values():
        assert environment["ComputeResources"]["LaunchTemplate"]["Version"], "Batch would never take a newer one"


def test_nothing_comes_into_the_network(templates: dict[str, Any]) -> None:
    assert not of_type(templates[PIPELINE], "AWS::EC2::SecurityGroupIngress")
    for group in of_type(templates[PIPELINE], "AWS::EC2::SecurityGroup").values():
        assert "SecurityGroupIngress" not in group


def test_the_container_is_nobody_on_a_file_system_that_it_cannot_write(templates: dict[str, Any]) -> None:
    container = one(templates[PIPELINE], "AWS::Batch::JobDefinition")["ContainerProperties"]
    assert container["ReadonlyRootFilesystem"] is True
    assert f"USER {container['User']}:" in (ROOT / "worker_image" / "Dockerfile").read_text()
    assert [mount["ContainerPath"] for mount in container["LinuxParameters"]["Tmpfs"]] == ["/tmp"]
    assert not container.get("Privileged")


def test_a_job_that_waits_for_ever_is_cancelled(templates: dict[str, Any]) -> None:
    actions = one(templates[PIPELINE], "AWS::Batch::JobQueue")["JobStateTimeLimitActions"]
    shortest, longest = limits.STATE_TIME_LIMIT_SECONDS
    assert all(shortest <= action["MaxTimeSeconds"] <= longest for action in actions)
    # As Batch spells them: https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
    assert {action["Reason"] for action in actions} == {
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
    }


def test_no_statement_has_a_wildcard_action_and_no_role_a_full_access_policy(templates: dict[str, Any]) -> None:
    for statement in statements(templates[PIPELINE]):
        assert not [action for action in listed(statement["Action"]) if "*" in action]
    for role in of_type(templates[PIPELINE], "AWS::IAM::Role").values():
        assert "FullAccess" not in json.dumps(role.get("ManagedPolicyArns", []))


def test_only_what_knows_no_resources_is_allowed_on_all_of_them(templates: dict[str, Any]) -> None:
    on_all = {
        action
        for statement in statements(templates[PIPELINE])
        if "*" in listed(statement["Resource"])
        for action in listed(statement["Action"])
    }
    assert on_all == {"batch:DescribeJobs", "ecr:GetAuthorizationToken"}


def test_each_function_has_a_role_and_a_log_group_of_its_own(templates: dict[str, Any]) -> None:
    functions = of_type(templates[PIPELINE], "AWS::Lambda::Function").values()
    assert len(functions) == 4
    assert len({json.dumps(function["Role"]) for function in functions}) == 4
    assert len({json.dumps(function["LoggingConfig"]["LogGroup"]) for function in functions}) == 4
    for group in of_type(templates[PIPELINE], "AWS::Logs::LogGroup").values():
        assert group["RetentionInDays"] == 30
    for function in functions:
        assert function["Timeout"] == limits.LAMBDA_TIMEOUT_SECONDS
        assert function["MemorySize"] <= limits.LAMBDA_MEMORY_MB


@pytest.mark.parametrize("package", ["list_images", "shard_images", "verify_shard", "verify_run"])
def test_each_function_gets_every_variable_that_its_settings_need(templates: dict[str, Any], package: str) -> None:
    source = (ROOT / "lambdas" / package / "handler.py").read_text()
    settings = source.split("class Settings:")[1].split("\n\n\n")[0]
    fields = [line for line in settings.splitlines() if ":" in line and '"""' not in line]
    known = {PREFIX + field.split(":")[0].strip().upper() for field in fields}
    needed = {PREFIX + field.split(":")[0].strip().upper() for field in fields if " = " not in field}
    (given,) = (
        set(function["Environment"]["Variables"])
        for function in of_type(templates[PIPELINE], "AWS::Lambda::Function").values()
        if function["Handler"] == f"lambdas.{package}.handler.handle"
    )
    assert needed <= {name for name in given if name.startswith(PREFIX)} <= known


def test_the_job_is_retried_after_everything_but_what_would_end_the_same_way(templates: dict[str, Any]) -> None:
    job = one(templates[PIPELINE], "AWS::Batch::JobDefinition")
    assert job["RetryStrategy"]["Attempts"] <= limits.MAX_JOB_ATTEMPTS
    rules = job["RetryStrategy"]["EvaluateOnExit"]
    assert len(rules) <= limits.EVALUATE_ON_EXIT_RULES
    assert {rule["Action"] for rule in rules} == {"EXIT"}
    assert job["Timeout"]["AttemptDurationSeconds"] >= limits.MIN_JOB_TIMEOUT_SECONDS
    strategy = {"evaluateOnExit": [{key[0].lower() + key[1:]: value for key, value in rule.items()} for rule in rules]}
    for end, retried in (
        (AttemptEnd(DO_NOT_RETRY, "", ""), False),
        (AttemptEnd(1, "Essential container in task exited", ""), False),
        (AttemptEnd(2, "", ""), False),
        (AttemptEnd(137, "OutOfMemoryError: Container killed due to memory usage", ""), False),
        # dockerd gives 15 s after SIGTERM when Spot takes the instance back.
        (AttemptEnd(137, "", "Host EC2 (instance i-0123456789abcdef0) terminated."), True),
        (AttemptEnd(TERMINATED, "", ""), True),
        (AttemptEnd(TRY_AGAIN, "", ""), True),
        (AttemptEnd(None, "CannotPullContainerError: context deadline exceeded", "Task failed to start"), True),
        (AttemptEnd(None, "DockerTimeoutError: Could not transition to started", ""), True),
        (AttemptEnd(None, "AGENT", "Host EC2 (instance i-0) terminated."), True),
    ):
        assert is_retried(strategy, end) is retried, end


def test_the_job_has_its_region_and_an_init_process_and_its_old_revisions_stay(templates: dict[str, Any]) -> None:
    job = one(templates[PIPELINE], "AWS::Batch::JobDefinition")
    environment = {entry["Name"]: entry["Value"] for entry in job["ContainerProperties"]["Environment"]}
    # AWS_REGION alone would keep newer ECS agents from setting the other, which is the one that botocore reads.
    assert environment["AWS_DEFAULT_REGION"] == environment["AWS_REGION"] == {"Ref": "AWS::Region"}
    assert job["ContainerProperties"]["LinuxParameters"]["InitProcessEnabled"] is True
    assert job["ResourceRetentionPolicy"] == {"SkipDeregisterOnUpdate": True}


def test_a_run_may_submit_every_revision_of_the_job_definition(templates: dict[str, Any]) -> None:
    (statement,) = (one for one in statements(templates[PIPELINE]) if "batch:SubmitJob" in listed(one["Action"]))
    text = json.dumps(statement["Resource"])
    (definition,) = of_type(templates[PIPELINE], "AWS::Batch::JobDefinition")
    part = json.dumps({"Fn::Select": [5, {"Fn::Split": [":", {"Ref": definition}]}]})
    assert f'{part}, ":*"' in text


def test_no_stack_exports_what_another_imports(templates: dict[str, Any]) -> None:
    assert not [name for name, output in templates["StepvecData"]["Outputs"].items() if "Export" in output]
    assert "Fn::ImportValue" not in json.dumps(templates[PIPELINE])
    assert "Fn::GetStackOutput" in json.dumps(templates[PIPELINE])


def test_compute_environments_take_new_images_when_they_are_updated(templates: dict[str, Any]) -> None:
    for environment in of_type(templates[PIPELINE], "AWS::Batch::ComputeEnvironment").values():
        assert environment["ComputeResources"]["UpdateToLatestImageVersion"] is True
        # With true, CloudFormation would replace the environment instead of updating it.
        assert environment["ReplaceComputeEnvironment"] is False


@pytest.mark.parametrize(("device", "architecture"), DEVICES)
def test_instances_are_of_the_families_of_the_setting(
    synthesized: Synthesize, device: DeviceName, architecture: Processor
) -> None:
    others = DEVICES[device, architecture].other_families
    template = synthesized(device=device, architecture=architecture, instance_families=list(others)).pipeline
    for environment in of_type(template, "AWS::Batch::ComputeEnvironment").values():
        assert environment["ComputeResources"]["InstanceTypes"] == list(others)
    functions = of_type(template, "AWS::Lambda::Function").values()
    told = [one["Environment"]["Variables"].get("STEPVEC_CAPACITY") for one in functions]
    assert [json.loads(capacity)["families"] for capacity in told if capacity] == [list(others)]


@pytest.mark.parametrize(
    ("settings", "memory", "families"),
    [
        ({}, 1_800, {"c7i", "m7i", "c6i", "m6i"}),
        ({"max_image_pixels": 1_000_000, "max_image_bytes": 20_000_000}, 1_800, {"c7i", "m7i", "c6i", "m6i"}),
        ({"max_image_pixels": 100_000_000}, 1_800 + 550, {"m7i", "m6i"}),
        ({"max_image_bytes": 128 * 2**20, "instance_families": ["m5"]}, 1_800 + 256, {"m5"}),
        ({"max_image_pixels": 100_000_000, "device": "gpu"}, 14_000, {"g4dn", "g5", "g6"}),
        ({"architecture": "arm64"}, 1_800, {"c8g", "m8g", "c7g", "m7g"}),
        ({"max_image_pixels": 100_000_000, "architecture": "arm64"}, 1_800 + 550, {"m8g", "m7g"}),
    ],
)
def test_the_job_has_the_memory_that_its_limits_take(
    synthesized: Synthesize, settings: dict[str, Any], memory: int, families: set[str]
) -> None:
    template = synthesized(**settings).templates[PIPELINE]
    container = one(template, "AWS::Batch::JobDefinition")["ContainerProperties"]
    assert {"Type": "MEMORY", "Value": str(memory)} in container["ResourceRequirements"]
    environment = {entry["Name"]: entry["Value"] for entry in container["Environment"]}
    for name in ("max_image_pixels", "max_image_bytes"):
        assert environment[f"STEPVEC_{name.upper()}"] == str(getattr(read_config(settings), name))
    for compute in of_type(template, "AWS::Batch::ComputeEnvironment").values():
        assert set(compute["ComputeResources"]["InstanceTypes"]) == families


@pytest.mark.parametrize("network", ["public", "private"])
def test_a_third_zone_comes_with_a_network_of_its_own(synthesized: Synthesize, network: str) -> None:
    two, three = (synthesized(network=network, availability_zones=zones).pipeline for zones in (2, 3))
    for template, zones in ((two, 2), (three, 3)):
        subnets = of_type(template, "AWS::EC2::Subnet").values()
        assert [subnet["AvailabilityZone"]["Fn::Select"][0] for subnet in subnets] == list(range(zones))
        for environment in of_type(template, "AWS::Batch::ComputeEnvironment").values():
            assert len(environment["ComputeResources"]["Subnets"]) == zones
    # Subnets of both exist for a while: in one VPC their addresses would overlap, and the deployment would fail.
    for kind in ("VPC", "Subnet", "InternetGateway", "VPCGatewayAttachment", "RouteTable", "VPCEndpoint"):
        assert not {*of_type(two, f"AWS::EC2::{kind}")} & {*of_type(three, f"AWS::EC2::{kind}")}, kind


def test_the_jobs_environment_fills_the_workers_settings(templates: dict[str, Any]) -> None:
    sys.path.insert(0, str(ROOT / "worker_image"))
    from stepvec_worker.settings import Settings

    job = one(templates[PIPELINE], "AWS::Batch::JobDefinition")["ContainerProperties"]
    names = {entry["Name"] for entry in job["Environment"]}
    assert names - {"POWERTOOLS_SERVICE_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"} <= {
        PREFIX + name.upper() for name in get_type_hints(Settings)
    }
    assert names >= {"STEPVEC_IMAGE_BUCKET", "STEPVEC_TABLE", "STEPVEC_MODEL"}
    assert job["Command"] == ["--shard", "Ref::shard"]


def test_the_lambda_zip_holds_what_it_imports_and_little_else(assembly: Path) -> None:
    assets = json.loads((assembly / f"{PIPELINE}.assets.json").read_text())["files"]
    (folder,) = {
        assembly / asset["source"]["path"] for asset in assets.values() if asset["source"]["packaging"] == "zip"
    }
    assert not list(folder.rglob("*.so")), "one zip serves every architecture only while it is pure Python"
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert size < 20 * 1024**2 < limits.LAMBDA_ZIP_UNPACKED_BYTES
    code = "import lambdas.list_images.lister, lambdas.shard_images.sharder, lambdas.verify_run.aggregator"
    environment = {"PYTHONPATH": str(folder), "PATH": os.environ["PATH"]}
    python = ROOT / ".venv-lambda" / "bin" / "python"
    subprocess.run([python, "-c", code], env=environment, cwd="/", check=True, capture_output=True)


def test_synthesis_is_repeatable(assembly: Path, tmp_path: Path) -> None:
    from local_pipeline.installation import synthesize

    synthesize(tmp_path / "again")
    for stack in ("StepvecData", PIPELINE):
        name = f"{stack}.template.json"
        assert (tmp_path / "again" / name).read_text() == (assembly / name).read_text()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"max_vcpu": 3}, "max_vcpu"),
        ({"max_vcpus": 0}, "max_vcpus is 0"),
        ({"max_vcpus": "64"}, "max_vcpus"),
        ({"shard_size": 10**6}, "shard_size"),
        ({"vector_type": "int4"}, "int4"),
        ({"preprocessing": "mine"}, "mine"),
        ({"name": "my stack"}, "name is 'my stack'"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"device": "gpu", "max_vcpus": 3}, "one gpu job takes 4"),
        ({"warm_throughput": [12_000]}, r"warm_throughput is \[12000\]"),
        ({"warm_throughput": [3_999, 12_000]}, "warm_throughput"),
        ({"warm_throughput": [4_000, 11_999]}, "warm_throughput"),
        ({"warm_throughput": [12_000, 12_000], "table": "mine"}, "a table of your own"),
        ({"warm_throughput": ["12000", 12_000]}, "warm_throughput"),
        ({"instance_families": ["c7g"]}, "instance_families has c7g, not for device cpu"),
        ({"instance_families": ["c6i"], "device": "gpu"}, "instance_families has c6i, not for device gpu"),
        (
            {"instance_families": ["c7i"], "architecture": "arm64"},
            "has c7i, not for device cpu with architecture arm64",
        ),
        ({"device": "gpu", "engine": "openvino"}, "engine is openvino, which runs on CPUs only"),
        ({"engine": "onnxruntime", "precision": "float16"}, "precision is float16, which is for GPUs"),
        ({"device": "gpu", "precision": "float16"}, "Engine mxnet computes in float32 only, not in float16"),
        ({"device": "gpu", "instance_families": ["p5"]}, "has p5, not for device gpu"),
        ({"architecture": "riscv"}, "architecture is 'riscv'"),
        ({"architecture": "arm64", "device": "gpu"}, "device gpu with architecture arm64 there is not"),
        ({"architecture": "arm64", "engine": "mxnet"}, "engine mxnet does not run on arm64"),
        ({"architecture": "arm64", "engine": "openvino"}, "engine openvino does not run on arm64"),
        ({"instance_families": ["c6i", "c6i"]}, "names a family twice"),
        ({"availability_zones": 4}, "availability_zones is 4"),
        ({"max_image_pixels": 999}, "max_image_pixels is 999"),
        ({"max_image_pixels": 182_000_001}, "182,000,001 .* a job would need 3,601 MiB, and may have 3,600"),
        ({"max_image_bytes": 900_000_000}, "a job would need 4,978 MiB"),
        ({"max_image_pixels": 164_000_000, "device": "gpu"}, "a job would need 14,104 MiB, and may have 14,000"),
        ({"max_image_pixels": 100_000_000, "instance_families": ["m6i", "c6i"]}, "c6i have 2 GiB per vCPU"),
        ({"network": "open"}, "network is 'open'"),
        ({"spot": "yes"}, "spot"),
        ({"log_retention_days": 31}, "log_retention_days is 31"),
        ({"alarm_email": "nobody"}, "alarm_email is 'nobody'"),
        ({"schedule": "daily", "schedule_paths": ["a"]}, "'daily' is not a schedule"),
        ({"schedule": "rate(1 day)"}, "schedule_paths is empty"),
        ({"schedule": "rate(1 day)", "schedule_paths": ["a"], "schedule_timezone": "Mars/Base"}, "Mars/Base"),
        ({"schedule_paths": ["s3://other/a"]}, "another bucket"),
        ({"schedule_window_minutes": 1441}, "schedule_window_minutes is 1441"),
        ({"upload_window_seconds": 301}, "upload_window_seconds is 301"),
        ({"upload_window_seconds": 0}, "upload_window_seconds is 0"),
        ({"upload_trigger": "yes"}, "upload_trigger"),
        ({"http_start": "yes"}, "http_start"),
        ({"http_rate": 0}, "http_rate is 0"),
        ({"http_rate": 2_501}, "http_rate is 2501"),
        ({"upload_prefixes": [""]}, "not a prefix"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        read_config(settings)


@pytest.mark.parametrize(
    ("settings", "target", "platform"),
    [
        ({}, "cpu", "linux/amd64"),
        ({"device": "gpu"}, "gpu", "linux/amd64"),
        ({"device": "gpu", "engine": "onnxruntime", "precision": "float16"}, "gpu-onnxruntime", "linux/amd64"),
        ({"architecture": "arm64"}, "arm64", "linux/arm64"),
    ],
)
def test_each_device_gets_the_stage_of_the_image_that_is_made_for_it(
    tmp_path: Path, settings: dict[str, Any], target: str, platform: str
) -> None:
    from stacks.app import build_app

    build_app(tmp_path / "staging", outdir=tmp_path / "out", overrides=settings).synth()
    assets = json.loads((tmp_path / "out" / f"{PIPELINE}.assets.json").read_text())
    (image,) = assets["dockerImages"].values()
    assert (image["source"]["dockerBuildTarget"], image["source"]["platform"]) == (target, platform)
    assert f"AS {target}\n" in (ROOT / "worker_image" / "Dockerfile").read_text()


def test_onnx_runtime_on_a_gpu_may_have_newer_cards(synthesized: Synthesize) -> None:
    settings = {"device": "gpu", "engine": "onnxruntime", "precision": "float16", "instance_families": ["g6e", "p5"]}
    template = synthesized(**settings).pipeline
    job = one(template, "AWS::Batch::JobDefinition")["ContainerProperties"]
    environment = {entry["Name"]: entry["Value"] for entry in job["Environment"]}
    assert environment["STEPVEC_MODEL"].endswith("/onnxruntime-float16")
    assert job["Command"] == ["--shard", "Ref::shard", "--device", "gpu"]
    for compute in of_type(template, "AWS::Batch::ComputeEnvironment").values():
        assert compute["ComputeResources"]["InstanceTypes"] == ["g6e", "p5"]
        assert compute["ComputeResources"]["Ec2Configuration"] == [{"ImageType": "ECS_AL2023_NVIDIA"}]


def test_on_arm_a_job_and_its_instances_are_arms(synthesized: Synthesize) -> None:
    template = synthesized(architecture="arm64").pipeline
    job = one(template, "AWS::Batch::JobDefinition")["ContainerProperties"]
    environment = {entry["Name"]: entry["Value"] for entry in job["Environment"]}
    assert environment["STEPVEC_MODEL"].endswith("/onnxruntime-float32")
    # For Fargate and ECS Managed Instances only; on EC2 the instance types decide.
    assert "RuntimePlatform" not in job
    for compute in of_type(template, "AWS::Batch::ComputeEnvironment").values():
        assert compute["ComputeResources"]["InstanceTypes"] == ["c8g", "m8g", "c7g", "m7g"]
        assert compute["ComputeResources"]["Ec2Configuration"] == [{"ImageType": "ECS_AL2023"}]
    for function in of_type(template, "AWS::Lambda::Function").values():
        assert function["Architectures"] == ["arm64"]


def test_queue_and_environments_of_another_processor_are_others(synthesized: Synthesize) -> None:
    """All environments of a queue must be of one processor: neither becomes another's in place."""
    of_x86, of_arm = (synthesized(architecture=each).pipeline for each in ("x86_64", "arm64"))
    for kind in ("AWS::Batch::JobQueue", "AWS::Batch::ComputeEnvironment"):
        assert of_type(of_x86, kind)
        assert not {*of_type(of_x86, kind)} & {*of_type(of_arm, kind)}


def test_two_deployments_of_one_account_share_no_name(tmp_path: Path) -> None:
    from stacks.app import build_app

    assert PipelineConfig().data_stack == DATA_STACK
    assert PipelineConfig().pipeline_stack == PIPELINE_STACK
    app = build_app(tmp_path / "staging", outdir=tmp_path / "out", overrides={"name": "Second"})
    app.synth()
    text = (tmp_path / "out" / "SecondPipeline.template.json").read_text()
    assert "SecondData" in text
    assert "StepvecData" not in text


def test_cdk_json_is_a_valid_configuration() -> None:
    assert read_config(json.loads((ROOT / "cdk.json").read_text())["context"]["stepvec"]) == PipelineConfig()


def test_a_missing_model_says_how_to_make_one(tmp_path: Path) -> None:
    from stacks.app import build_app

    with pytest.raises(WeightsError, match="stepvec weights"):
        build_app(tmp_path, model_directory=tmp_path)
