"""`stepvec doctor`: verdicts from AWS's answers, and the whole of it on the embedded AWS and without credentials."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from stacks.config import PipelineConfig
from stepvec.client import doctor
from stepvec.client.doctor import Finding, Verdict, Wanted, examine_account
from stepvec.errors import ConfigurationError
from tests.local.conftest import Pipeline
from tests.local.test_cli import STEPVEC, WITHOUT_AWS
from tests.local.test_client import stepvec

WANTED = Wanted(
    families=("c7i", "m7i"),
    other_families=("c7i", "m7i", "c5", "m5"),
    availability_zones=2,
    vcpus=64,
    vcpus_per_job=1,
    is_gpu=False,
    is_spot=True,
    image_bucket="",
    upload_trigger=False,
    pipeline_stack="StepvecPipeline",
    bootstrap_command="npx cdk bootstrap",
)
NOTHING = {"image_bucket": "", "upload_trigger": False}
LOOKS = [
    "bootstrap",
    "quota: Spot vCPUs of standard families",
    "quota: on-demand vCPUs of standard families",
    "quota: Lambda functions at a time",
    "quota: VPCs",
    "quota: state transitions",
    "instance families",
    "availability zones",
    "image bucket",
]


class Answers:
    """Clients of every service, which give the answers that were put down, checked against AWS's own service models."""

    region_name = "eu-west-1"

    def __init__(self) -> None:
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": self.region_name}
        self._clients: dict[str, Any] = {}
        self._stubbers: dict[str, Stubber] = {}
        self._keys = keys
        self.client("sts")
        self.give("sts", "get_caller_identity", {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/u"})

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(service, **self._keys)  # type: ignore[call-overload]
            self._stubbers[service] = Stubber(self._clients[service])
            self._stubbers[service].activate()
        return self._clients[service]

    def give(self, service: str, method: str, answer: dict[str, Any], **request: Any) -> None:
        self.client(service)
        self._stubbers[service].add_response(method, answer, request or None)

    def refuse(self, service: str, method: str, code: str) -> None:
        self.client(service)
        self._stubbers[service].add_client_error(method, code)


@contextmanager
def answering(monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Answers], None]) -> Iterator[None]:
    answers = Answers()
    prepare(answers)
    monkeypatch.setattr(doctor, "new_session", lambda: answers)
    yield


def found(monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Answers], None], **changes: Any) -> dict[str, Finding]:
    """Findings by subject. What no answer was put down for cannot be asked."""
    with answering(monkeypatch, prepare):
        wanted = Wanted(**{**{name: getattr(WANTED, name) for name in WANTED.__slots__}, **changes})
        return {finding.subject: finding for finding in examine_account(wanted)}


@pytest.mark.parametrize(
    ("stack", "verdict", "told"),
    [
        (None, Verdict.STOP, "has not been bootstrapped for CDK in eu-west-1"),
        ("5", Verdict.STOP, "has version 5; 6 is needed"),
        ("", Verdict.STOP, "has version unknown"),
        ("27", Verdict.OK, "version 27"),
    ],
)
def test_the_bootstrap_stack(monkeypatch: pytest.MonkeyPatch, stack: str | None, verdict: Verdict, told: str) -> None:
    def prepare(answers: Answers) -> None:
        if stack is None:
            answers.refuse("cloudformation", "describe_stacks", "ValidationError")
        else:
            outputs = [{"OutputKey": "BootstrapVersion", "OutputValue": stack}] if stack else []
            one = {"StackName": "CDKToolkit", "CreationTime": 0, "StackStatus": "CREATE_COMPLETE", "Outputs": outputs}
            answers.give("cloudformation", "describe_stacks", {"Stacks": [one]})

    finding = found(monkeypatch, prepare)["bootstrap"]
    assert finding.verdict is verdict
    assert told in finding.message
    if verdict is Verdict.STOP:
        assert finding.remedy.endswith("npx cdk bootstrap aws://123456789012/eu-west-1")
        assert finding.link == "https://eu-west-1.console.aws.amazon.com/cloudformation/home?region=eu-west-1"


def test_the_version_that_the_assembly_asks_for_is_the_doctors(assembly: Path) -> None:
    manifest = json.loads((assembly / "manifest.json").read_text())
    stacks = [one for one in manifest["artifacts"].values() if one["type"] == "aws:cloudformation:stack"]
    asked = {one["properties"]["requiresBootstrapStackVersion"] for one in stacks}
    assert max(asked) == doctor.BOOTSTRAP_VERSION


@pytest.mark.parametrize(
    ("spot", "on_demand", "verdicts"),
    [
        (64.0, 64.0, (Verdict.OK, Verdict.OK)),
        (32.0, 5.0, (Verdict.WARNING, Verdict.WARNING)),
        (0.0, 64.0, (Verdict.WARNING, Verdict.OK)),
        (64.0, 0.0, (Verdict.OK, Verdict.STOP)),
    ],
)
def test_quotas_of_vcpus(
    monkeypatch: pytest.MonkeyPatch, spot: float, on_demand: float, verdicts: tuple[Verdict, Verdict]
) -> None:
    def prepare(answers: Answers) -> None:
        for code, value in (("L-34B43A08", spot), ("L-1216C47A", on_demand)):
            request = {"ServiceCode": "ec2", "QuotaCode": code}
            answers.give("service-quotas", "get_service_quota", {"Quota": {"Value": value}}, **request)

    findings = found(monkeypatch, prepare)
    for subject, verdict, code in zip(LOOKS[1:3], verdicts, ("L-34B43A08", "L-1216C47A"), strict=True):
        assert findings[subject].verdict is verdict, subject
        if verdict is not Verdict.OK:
            assert findings[subject].link.endswith(f"/servicequotas/home/services/ec2/quotas/{code}?region=eu-west-1")


def test_gpus_have_quotas_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(answers: Answers) -> None:
        request = {"ServiceCode": "ec2", "QuotaCode": "L-DB2E81BA"}
        answers.refuse("service-quotas", "get_service_quota", "NoSuchResourceException")
        answers.give("service-quotas", "get_aws_default_service_quota", {"Quota": {"Value": 0.0}}, **request)

    findings = found(monkeypatch, prepare, is_gpu=True, is_spot=False, vcpus_per_job=4)
    finding = findings["quota: on-demand vCPUs of GPU families"]
    assert (finding.verdict, finding.message) == (Verdict.STOP, "0, and a job takes 4.")
    assert not [subject for subject in findings if "Spot" in subject]


@pytest.mark.parametrize(("value", "verdict"), [(10.0, Verdict.WARNING), (1_000.0, Verdict.OK)])
def test_the_quota_of_functions_at_a_time(monkeypatch: pytest.MonkeyPatch, value: float, verdict: Verdict) -> None:
    def prepare(answers: Answers) -> None:
        request = {"ServiceCode": "lambda", "QuotaCode": "L-B99A9384"}
        answers.give("service-quotas", "get_service_quota", {"Quota": {"Value": value}}, **request)

    finding = found(monkeypatch, prepare)["quota: Lambda functions at a time"]
    assert finding.verdict is verdict
    assert finding.message.startswith(f"{value:,.0f}")


@pytest.mark.parametrize(
    ("used", "deployed", "verdict"), [(4, False, Verdict.OK), (5, False, Verdict.STOP), (5, True, Verdict.OK)]
)
def test_the_quota_of_vpcs(monkeypatch: pytest.MonkeyPatch, used: int, deployed: bool, verdict: Verdict) -> None:
    def prepare(answers: Answers) -> None:
        answers.refuse("cloudformation", "describe_stacks", "ValidationError")  # the bootstrap stack
        request = {"ServiceCode": "vpc", "QuotaCode": "L-F678F1CE"}
        answers.give("service-quotas", "get_service_quota", {"Quota": {"Value": 5.0}}, **request)
        answers.give("ec2", "describe_vpcs", {"Vpcs": [{"VpcId": f"vpc-{number}"} for number in range(used)]})
        if deployed:
            stack = {"StackName": WANTED.pipeline_stack, "CreationTime": 0, "StackStatus": "CREATE_COMPLETE"}
            answers.give("cloudformation", "describe_stacks", {"Stacks": [stack]}, StackName=WANTED.pipeline_stack)
        else:
            answers.refuse("cloudformation", "describe_stacks", "ValidationError")

    assert found(monkeypatch, prepare)["quota: VPCs"].verdict is verdict


@pytest.mark.parametrize(
    ("offered", "verdict", "remedy"),
    [
        (("c7i", "m7i", "c5"), Verdict.OK, ""),
        (("m7i", "c5"), Verdict.STOP, 'Use the setting "instance_families": ["m7i"].'),
        (("c5", "m5"), Verdict.STOP, 'Use the setting "instance_families": ["c5", "m5"].'),
        ((), Verdict.STOP, "It has none that Stepvec can use: deploy to another region."),
    ],
)
def test_instance_families(
    monkeypatch: pytest.MonkeyPatch, offered: tuple[str, ...], verdict: Verdict, remedy: str
) -> None:
    def prepare(answers: Answers) -> None:
        offers = [{"InstanceType": f"{family}.large", "LocationType": "region"} for family in offered]
        filters = [{"Name": "instance-type", "Values": ["c7i.*", "m7i.*", "c5.*", "m5.*"]}]
        request = {"LocationType": "region", "Filters": filters}
        # The look at VPCs comes before, and finds no quota: it asks EC2 nothing.
        answers.give("ec2", "describe_instance_type_offerings", {"InstanceTypeOfferings": offers}, **request)

    finding = found(monkeypatch, prepare)["instance families"]
    assert (finding.verdict, finding.remedy) == (verdict, remedy)


@pytest.mark.parametrize(
    ("zones", "with_default_subnet", "wanted", "verdict", "told"),
    [
        ("abc", "abc", 2, Verdict.OK, '"availability_zones": 3 gives Spot more choice'),
        ("abc", "", 3, Verdict.OK, "3; a template gets 3 of eu-west-1's 3"),
        ("ab", "ab", 2, Verdict.OK, "2; a template gets 2 of eu-west-1's 2"),
        ("ab", "", 3, Verdict.STOP, 'Use the setting "availability_zones": 2.'),
        # Fn::GetAZs leaves out zones without a default subnet, unless none has one.
        ("abc", "ab", 3, Verdict.STOP, "or give each zone a default subnet"),
        ("abc", "a", 2, Verdict.STOP, "Give each zone a default subnet"),
        ("a", "", 2, Verdict.STOP, "Deploy to another region."),
    ],
)
def test_availability_zones(
    monkeypatch: pytest.MonkeyPatch, zones: str, with_default_subnet: str, wanted: int, verdict: Verdict, told: str
) -> None:
    def prepare(answers: Answers) -> None:
        answers.refuse("ec2", "describe_instance_type_offerings", "UnauthorizedOperation")
        only = [{"Name": "zone-type", "Values": ["availability-zone"]}]
        there = [{"ZoneName": f"eu-west-1{zone}"} for zone in zones]
        answers.give("ec2", "describe_availability_zones", {"AvailabilityZones": there}, Filters=only)
        subnets = [{"AvailabilityZone": f"eu-west-1{zone}"} for zone in with_default_subnet]
        default = [{"Name": "default-for-az", "Values": ["true"]}]
        answers.give("ec2", "describe_subnets", {"Subnets": subnets}, Filters=default)

    finding = found(monkeypatch, prepare, availability_zones=wanted)["availability zones"]
    assert finding.verdict is verdict
    assert told in f"{finding.message} {finding.remedy}"


def test_the_doctor_knows_what_the_setting_availability_zones_may_be() -> None:
    (field,) = (one for one in dataclasses.fields(PipelineConfig) if one.name == "availability_zones")
    assert field.metadata["choices"] == (doctor.MIN_ZONES, doctor.MAX_ZONES)


@pytest.mark.parametrize(
    ("events", "trigger", "kms", "verdicts"),
    [
        (True, True, False, (Verdict.OK, Verdict.OK)),
        (False, False, False, (Verdict.OK, Verdict.OK)),
        (False, True, False, (Verdict.STOP, Verdict.OK)),
        (True, True, True, (Verdict.OK, Verdict.WARNING)),
    ],
)
def test_a_bucket_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, events: bool, trigger: bool, kms: bool, verdicts: tuple[Verdict, Verdict]
) -> None:
    def prepare(answers: Answers) -> None:
        answers.give("s3", "head_bucket", {})
        told: dict[str, Any] = {"EventBridgeConfiguration": {}} if events else {}
        answers.give("s3", "get_bucket_notification_configuration", told, Bucket="mine")
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"} if kms else {"SSEAlgorithm": "AES256"}
        rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
        answers.give("s3", "get_bucket_encryption", {"ServerSideEncryptionConfiguration": rules}, Bucket="mine")

    findings = found(monkeypatch, prepare, image_bucket="mine", upload_trigger=trigger)
    assert (findings["image bucket: events"].verdict, findings["image bucket: encryption"].verdict) == verdicts


def test_a_bucket_that_is_not_there_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = found(monkeypatch, lambda answers: answers.refuse("s3", "head_bucket", "404"), image_bucket="mine")
    assert finding["image bucket"].verdict is Verdict.STOP


def test_what_may_not_be_asked_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(answers: Answers) -> None:
        answers.refuse("cloudformation", "describe_stacks", "AccessDenied")

    findings = found(monkeypatch, prepare)
    assert list(findings) == ["region", "credentials", *LOOKS]
    assert findings["bootstrap"].verdict is Verdict.WARNING
    assert "cannot be asked with these credentials" in findings["bootstrap"].message


def test_without_a_region_the_rest_is_named_and_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_region() -> Any:
        raise ConfigurationError("No AWS region is set.", remedy="Set one.")

    monkeypatch.setattr(doctor, "new_session", no_region)
    first, *rest = examine_account(WANTED)
    assert (first.subject, first.verdict) == ("region", Verdict.STOP)
    assert {finding.verdict for finding in rest} == {Verdict.WARNING}


def lines(output: str) -> dict[str, str]:
    """The verdict by subject."""
    parts = [line.split(maxsplit=1) for line in output.splitlines() if line and not line.startswith(" ")]
    return {rest.partition(": ")[0] if not rest.startswith("quota: ") else rest.split(": ")[1]: v for v, rest in parts}


def test_every_line_on_the_embedded_aws(pipeline: Pipeline) -> None:
    result = stepvec(pipeline, "doctor", CDK_DOCKER="no-such-builder")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    verdicts = lines(result.stdout)
    assert verdicts["credentials"] == verdicts["region"] == verdicts["VPCs"] == "ok"
    assert verdicts["bootstrap"] == verdicts["container builder"] == "stop"
    assert verdicts["Spot vCPUs of standard families"] == verdicts["Lambda functions at a time"] == "warning"
    assert "cannot be asked here" in result.stdout
    assert "\x1b[" not in result.stdout, "no colours but in a terminal"


def test_every_line_without_credentials(pipeline: Pipeline) -> None:
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    result = stepvec(pipeline, "doctor", **nobody)
    assert result.returncode == 1
    verdicts = lines(result.stdout)
    assert verdicts["credentials"] == "stop"
    assert verdicts["bootstrap"] == verdicts["quotas"] == "warning"
    assert "CDK command" in verdicts


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}])
def test_colours_in_a_terminal_unless_they_are_unwanted(variables: dict[str, str]) -> None:
    main, other = pty.openpty()
    environment = {**WITHOUT_AWS, "TERM": "xterm", "AWS_EC2_METADATA_DISABLED": "true", **variables}
    environment |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    with subprocess.Popen([STEPVEC, "doctor"], env=environment, stdout=other, stderr=other, stdin=other) as process:
        os.close(other)
        output = b""
        try:
            while part := os.read(main, 65536):
                output += part
        except OSError:
            pass  # a terminal whose other end is closed
        process.wait()
    os.close(main)
    assert b"stop" in output
    assert (b"\x1b[1;31m" in output) is not bool(variables)


def test_deploy_names_what_another_model_would_cost(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    for number in range(2):
        pipeline.put(f"{folder}/{number}.jpg", b"no photo")
    settings = json.dumps({"engine": "openvino", "precision": "bf16"})
    deploy = stepvec(pipeline, "deploy", STEPVEC_SETTINGS=settings)
    told = " ".join(deploy.stderr.split())
    assert deploy.returncode == 1
    assert "Not deployed" in told
    assert f"stop deployed model: {pipeline.deployment.model} would become" in told
    assert "openvino-bf16. Some" in told
    assert "add --change-model" in told
    meant = stepvec(pipeline, "deploy", "--change-model", STEPVEC_SETTINGS=settings)
    assert "warning deployed model:" in " ".join(meant.stderr.split())
    assert "add --change-model" not in meant.stderr
    same = stepvec(pipeline, "deploy")
    assert "deployed model:" not in same.stderr


def test_the_network_that_setup_falls_back_to_is_not_deployed_in_silence(pipeline: Pipeline) -> None:
    silent = " ".join(stepvec(pipeline, "deploy").stderr.split())
    meant = " ".join(stepvec(pipeline, "deploy", "--accept-efficientnet").stderr.split())
    if "efficientnet_lite0" in pipeline.deployment.model:
        assert "stop model: EfficientNet-Lite0, which setup falls back to" in silent
    assert "stop model: EfficientNet-Lite0" not in meant
