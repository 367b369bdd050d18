"""Deploying templates: intrinsic functions, assets, what is left out, and errors."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from localaws.batch.dockerfile import Image, image_command, read_image
from localaws.cloudformation.assembly import FileAsset, read_assembly
from localaws.cloudformation.deployer import Deployer
from localaws.cloudformation.intrinsics import Environment, Resolver
from localaws.errors import AssemblyError, ImageError, LocalCloudError, TemplateError, UnsupportedResourceError


def resolver(template=None, **known) -> Any:
    return Resolver(
        template or {},
        Environment("123456789012", "eu-west-1", "S"),
        physical_id=lambda name: known[name],
        attribute=lambda name, attribute: f"{known[name]}.{attribute}",
        exports={"E": "exported"},
        outputs={"Other": {"Out": "output"}},
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Ref": "Thing"}, "thing-1"),
        ({"Ref": "Parameter"}, "default"),
        ({"Fn::GetAtt": ["Thing", "Arn"]}, "thing-1.Arn"),
        ({"Fn::GetAtt": "Thing.Arn"}, "thing-1.Arn"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Thing"}, 1]]}, "a-thing-1-1"),
        ({"Fn::Sub": "${AWS::Partition}:${Thing}:${Thing.Arn}:${!Literal}"}, "aws:thing-1:thing-1.Arn:${Literal}"),
        ({"Fn::Sub": ["${x}${Thing}", {"x": {"Ref": "AWS::AccountId"}}]}, "123456789012thing-1"),
        ({"Fn::Select": [1, {"Fn::Split": [":", "a:b:c"]}]}, "b"),
        ({"Fn::ImportValue": {"Fn::Join": ["", ["E"]]}}, "exported"),
        ({"Fn::GetStackOutput": {"StackName": "Other", "OutputName": "Out"}}, "output"),
        ({"Fn::If": ["Yes", "a", {"Ref": "Missing"}]}, "a"),
        ({"Fn::If": ["No", "a", {"Ref": "AWS::NoValue"}]}, None),
        ([1, {"Ref": "AWS::NoValue"}, 2], [1, 2]),
        ({"kept": 1, "gone": {"Ref": "AWS::NoValue"}}, {"kept": 1}),
        ({"Fn::FindInMap": ["Map", "row", "column"]}, "cell"),
        ({"Fn::Base64": "a"}, "YQ=="),
        ({"Fn::GetAZs": ""}, ["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
        ({"Condition": {"Bool": {"x": "y"}}}, {"Condition": {"Bool": {"x": "y"}}}),
    ],
)
def test_intrinsic_functions(value, expected):
    template = {
        "Parameters": {"Parameter": {"Default": "default"}},
        "Mappings": {"Map": {"row": {"column": "cell"}}},
        "Conditions": {
            "Yes": {"Fn::And": [{"Fn::Equals": ["a", "a"]}, {"Fn::Not": [{"Condition": "No"}]}]},
            "No": {"Fn::Or": [{"Fn::Equals": ["a", "b"]}]},
        },
    }
    assert resolver(template, Thing="thing-1").resolve(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"Fn::Transform": {}},
        {"Fn::ImportValue": "nobody exports this"},
        {"Ref": "NoDefault"},
        {"Fn::Join": "not a pair"},
        {"Fn::If": ["NoSuchCondition", 1, 2]},
    ],
)
def test_what_does_not_resolve_is_an_error(value):
    template = {"Parameters": {"NoDefault": {"Type": "String"}}}
    with pytest.raises(TemplateError, match="Stack S"):
        resolver(template).resolve(value)


def test_stacks_come_after_what_they_depend_on(assembly_folder):
    assert [stack.name for stack in read_assembly(assembly_folder)] == ["DataStack", "Pipeline"]


def test_folder_that_is_no_assembly(tmp_path):
    with pytest.raises(AssemblyError, match=r"manifest\.json cannot be read"):
        read_assembly(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(AssemblyError, match="is not JSON"):
        read_assembly(tmp_path)
    (tmp_path / "manifest.json").write_text('{"artifacts": {}}')
    with pytest.raises(AssemblyError, match="holds no stack"):
        read_assembly(tmp_path)


def test_zip_asset_is_the_same_at_each_time(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.py").write_text("a")
    asset = FileAsset(tmp_path, "zip", "bucket", "key")
    first = asset.content()
    (tmp_path / "folder" / "a.py").touch()
    assert asset.content() == first
    (tmp_path.parent / "x.zip").write_bytes(first)
    with zipfile.ZipFile(tmp_path.parent / "x.zip") as archive:
        assert archive.namelist() == ["folder/a.py"]


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        ('FROM x\nENTRYPOINT ["python", "-m", "worker"]\n', ("python", "-m", "worker")),
        ('ENTRYPOINT ["a"]\nentrypoint [ \\\n# comment\n "python3", \\\n "b"]', ("python3", "b")),
    ],
)
def test_entrypoint(tmp_path, dockerfile, words):
    (tmp_path / "Dockerfile").write_text(dockerfile)
    assert read_image("tag", tmp_path, "Dockerfile").entrypoint == words


def test_variables_of_the_image(tmp_path):
    lines = ['ENV A=1 B="two words" \\', "    C=a=b", "ENV A=2", "ENV OLD the whole rest", 'ENTRYPOINT ["python"]']
    (tmp_path / "Dockerfile").write_text("\n".join(lines))
    expected = {"A": "2", "B": "two words", "C": "a=b", "OLD": "the whole rest"}
    assert dict(read_image("tag", tmp_path, "Dockerfile").environment) == expected


@pytest.mark.parametrize(
    ("dockerfile", "message"),
    [
        ("FROM x\nCMD x", "no ENTRYPOINT"),
        ("ENTRYPOINT python x.py", "shell form"),
        ("ENTRYPOINT [1]", "not a list of words"),
    ],
)
def test_entrypoint_that_cannot_be_used(tmp_path, dockerfile, message):
    (tmp_path / "Dockerfile").write_text(dockerfile)
    with pytest.raises(ImageError, match=message):
        read_image("tag", tmp_path, "Dockerfile")


def test_image_command():
    image = Image("tag", Path("folder"), ("python3", "-m", "worker"))
    assert image_command(image, ["--a"], Path("/venv/python")) == ["/venv/python", "-m", "worker", "--a"]
    with pytest.raises(ImageError, match="not a Python program"):
        image_command(Image("tag", Path("folder"), ("bash",)), [], Path("/venv/python"))


# --- with the embedded AWS


def deploy(sample, tmp_path, resources, **more) -> Any:
    template = {"Resources": resources, **more}
    manifest = {
        "artifacts": {
            "Extra": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "Extra.template.json"}}
        }
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "Extra.template.json").write_text(json.dumps(template))
    cloud = sample.cloud
    deployer = Deployer(cloud._context, cloud._batch, cloud._functions, cloud.client)
    for stack in read_assembly(tmp_path):
        deployer.deploy(stack)
    return deployer


def test_sample_is_deployed(sample):
    assert sample.data["BucketArn"] == f"arn:aws:s3:::{sample.data['BucketName']}"
    assert "Nowhere" not in sample.data
    assert sample.cloud.physical_id("DataStack", "Bucket") == sample.data["BucketName"]
    assert sample.cloud.physical_id("Pipeline", "Queue") == sample.pipeline["JobQueue"]
    assert sample.s3.get_bucket_versioning(Bucket=sample.data["BucketName"]).get("Status") is None
    backups = sample.cloud.client("dynamodb").describe_continuous_backups(TableName=sample.data["TableName"])
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"


def test_what_is_left_out_is_listed_with_its_reason(sample):
    listed = {(one.stack, one.logical_id): one.reason for one in sample.cloud.not_local}
    assert "TLS" in listed["DataStack", "BucketPolicy"]
    assert ("DataStack", "Bucket") not in listed
    assert "network" in listed["Pipeline", "Vpc"]
    assert "nodejs22.x" in listed["Pipeline", "NodeFunction"]


def test_unknown_type_is_an_error_with_type_and_logical_id(sample, tmp_path):
    with pytest.raises(UnsupportedResourceError) as error:
        deploy(sample, tmp_path, {"Odd": {"Type": "AWS::Unheard::Of"}})
    assert "Odd" in str(error.value)
    assert "AWS::Unheard::Of" in str(error.value)
    assert "localaws/handlers" in str(error.value)


def test_unknown_logical_id(sample, tmp_path):
    with pytest.raises(LocalCloudError, match="NoSuchThing"):
        sample.cloud.physical_id("Pipeline", "NoSuchThing")
    with pytest.raises(TemplateError, match="NoSuchThing"):
        deploy(sample, tmp_path, {}, Outputs={"O": {"Value": {"Ref": "NoSuchThing"}}})


def test_circle_of_references(sample, tmp_path):
    def group(name) -> Any:
        return {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Ref": name}}}

    with pytest.raises(TemplateError, match="One -> Two -> One"):
        deploy(sample, tmp_path, {"One": group("Two"), "Two": group("One")})


def test_what_aws_refuses_names_the_resource(sample, tmp_path):
    queue = {"Type": "AWS::Batch::JobQueue", "Properties": {"Priority": 1, "ComputeEnvironmentOrder": []}}
    with pytest.raises(TemplateError, match="JobQueue Bad of stack Extra"):
        deploy(sample, tmp_path, {"Bad": queue})


def test_role_that_does_not_trust_its_service(sample, tmp_path):
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": sample.role_with("lambda.amazonaws.com"),
            "Definition": {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}},
        },
    }
    with pytest.raises(LocalCloudError, match=r"cannot be assumed by states\.amazonaws\.com"):
        deploy(sample, tmp_path, {"M": machine})


def test_machine_without_the_managed_rules_permissions_is_not_created(sample, tmp_path):
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": sample.role_with("states.amazonaws.com"),
            "Definition": {"StartAt": "A", "States": {"A": {**sample.batch_task("exit", "0"), "End": True}}},
        },
    }
    with pytest.raises(TemplateError, match="events:PutTargets"):
        deploy(sample, tmp_path, {"M": machine})


def test_missing_substitution(sample, tmp_path):
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": sample.pipeline["MachineRoleArn"],
            "DefinitionString": '{"Comment": "${Forgotten}"}',
        },
    }
    with pytest.raises(TemplateError, match="Forgotten"):
        deploy(sample, tmp_path, {"M": machine})


def test_inline_code_and_managed_policy(sample, tmp_path):
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
                ],
            }
        },
    }
    policy = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {
            "Roles": [{"Ref": "Role"}],
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "dynamodb:ListTables", "Resource": "*"}],
            },
        },
    }
    source = "import boto3\ndef f(e, c):\n    return boto3.client('dynamodb').list_tables()['TableNames']"
    function = {
        "Type": "AWS::Lambda::Function",
        "DependsOn": "Policy",
        "Properties": {
            "Code": {"ZipFile": source},
            "Handler": "index.f",
            "Runtime": "python3.12",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Timeout": 20,
        },
    }
    deployer = deploy(sample, tmp_path, {"Function": function, "Policy": policy, "Role": role})
    answer = sample.cloud.client("lambda").invoke(FunctionName=deployer.physical_ids["Extra", "Function"])
    assert json.loads(answer["Payload"].read()) == [sample.data["TableName"]]


def test_describe_stacks_gives_the_outputs(sample):
    for name, outputs in sample.cloud.outputs.items():
        (stack,) = sample.cloud.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        assert {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]} == outputs


def test_a_key_has_an_arn_that_policies_can_name_and_is_listed_as_without_effect(sample, tmp_path):
    key = {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {"Statement": []}, "EnableKeyRotation": True}}
    deployer = deploy(
        sample,
        tmp_path,
        {"Key": key},
        Outputs={"Arn": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}}},
    )
    assert ":kms:" in deployer.outputs["Extra"]["Arn"]
    assert [one.reason for one in deployer.not_local] == ["nothing is encrypted"]


def test_a_rule_for_events_that_nothing_sends_here_is_listed(sample, tmp_path):
    rule = {
        "Type": "AWS::Events::Rule",
        "Properties": {
            "EventPattern": {"source": ["aws.batch"]},
            "Targets": [{"Id": "t", "Arn": "arn:aws:sns:us-east-1:123456789012:topic"}],
        },
    }
    deployer = deploy(sample, tmp_path, {"Rule": rule})
    assert [one.reason for one in deployer.not_local] == ["nothing here sends events of aws.batch"]
