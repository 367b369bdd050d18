"""What an account and a region must have before Stepvec is deployed there: each looked at, with what to do about it.

Every look asks AWS one thing. What cannot be asked (no permission, or an AWS that does not know the call, as the
embedded one) is a warning, never an error: a doctor who stops at the first door is of no use.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from stepvec.adapters.aws_errors import ACCESS_DENIED_CODES, MISSING_CODES, error_code
from stepvec.client.session import console_url, new_session, translate_aws_errors
from stepvec.errors import StepvecError

BOOTSTRAP_STACK: Final = "CDKToolkit"
BOOTSTRAP_VERSION: Final = 6
"""The least version of the bootstrap stack that the assembly asks for (`requiresBootstrapStackVersion` of its
manifest). https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html"""
FEW_LAMBDAS: Final = 100
"""With fewer at a time the last shards of a run wait for each other's verification. New accounts may have 10:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html"""

MIN_ZONES: Final = 2
MAX_ZONES: Final = 3
"""What the setting availability_zones may be (a test holds them to stacks/config.py)."""


class Verdict(StrEnum):
    """How a finding ends."""

    OK = "ok"
    WARNING = "warning"
    STOP = "stop"
    """A deployment, or the first run, would fail."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's: what was looked at, what was found, what to do about it and where."""

    subject: str
    verdict: Verdict
    message: str
    remedy: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What would be deployed, as far as an account must be ready for it."""

    families: tuple[str, ...]
    other_families: tuple[str, ...]
    """That the setting instance_families may name instead."""
    availability_zones: int
    vcpus: int
    """That a run may use at a time."""
    vcpus_per_job: int
    is_gpu: bool
    is_spot: bool
    image_bucket: str
    """A bucket of the user's own, or ""."""
    upload_trigger: bool
    pipeline_stack: str
    bootstrap_command: str


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota of Service Quotas."""

    service: str
    code: str
    name: str


# Codes as Service Quotas and AWS's own examples name them; what each means:
# https://docs.aws.amazon.com/cli/latest/userguide/cli_service-quotas_code_examples.html (L-1216C47A)
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-limits.html (names of the Spot quotas)
# https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
# https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
ON_DEMAND_VCPUS: Final = Quota("ec2", "L-1216C47A", "on-demand vCPUs of standard families")
SPOT_VCPUS: Final = Quota("ec2", "L-34B43A08", "Spot vCPUs of standard families")
GPU_ON_DEMAND_VCPUS: Final = Quota("ec2", "L-DB2E81BA", "on-demand vCPUs of GPU families")
GPU_SPOT_VCPUS: Final = Quota("ec2", "L-3819A6DF", "Spot vCPUs of GPU families")
LAMBDA_CONCURRENCY: Final = Quota("lambda", "L-B99A9384", "Lambda functions at a time")
VPCS: Final = Quota("vpc", "L-F678F1CE", "VPCs")
STATES_SERVICE: Final = "states"
STATE_TRANSITIONS: Final = "StateTransition"
"""In the name of Step Functions' quotas of state transitions, whose codes no public text was found to name."""

Client = Callable[[str], Any]
Look = Callable[[], Iterator[Finding]]


def examine_account(wanted: Wanted) -> Iterator[Finding]:
    """Look at the account and the region of the environment's credentials, one finding after the other."""
    try:
        session = new_session()
        region = str(session.region_name)
        yield Finding("region", Verdict.OK, region)
        with translate_aws_errors():
            identity = session.client("sts").get_caller_identity()
    except StepvecError as error:
        subject = "region" if "region" in error.message else "credentials"
        yield Finding(subject, Verdict.STOP, error.message, error.remedy)
        for unasked in ("bootstrap", "quotas", "instance families", "availability zones", "image bucket"):
            yield Finding(unasked, Verdict.WARNING, f"Not looked at, for want of {subject}.")
        return
    yield Finding("credentials", Verdict.OK, f"account {identity['Account']}, {identity['Arn']}")
    examination = _Examination(lambda service: session.client(service), region, str(identity["Account"]), wanted)  # type: ignore[call-overload]
    for subject, look in examination.looks():
        try:
            yield from look()
        except (ClientError, BotoCoreError) as error:
            yield _unasked(subject, error)


@dataclass(frozen=True, slots=True)
class _Examination:
    client: Client
    region: str
    account: str
    wanted: Wanted

    def looks(self) -> list[tuple[str, Look]]:
        """Every look, by its subject."""
        quotas: list[tuple[str, Look]] = [
            (f"quota: {quota.name}", lambda quota=quota, spot=spot: self._vcpus(quota, is_spot=spot))  # type: ignore[misc]
            for quota, spot in self._vcpu_quotas()
        ]
        return [
            ("bootstrap", self._bootstrap),
            *quotas,
            (f"quota: {LAMBDA_CONCURRENCY.name}", self._lambda_concurrency),
            (f"quota: {VPCS.name}", self._vpcs),
            ("quota: state transitions", self._state_transitions),
            ("instance families", self._families),
            ("availability zones", self._zones),
            ("image bucket", self._image_bucket),
        ]

    def _vcpu_quotas(self) -> list[tuple[Quota, bool]]:
        spot, on_demand = (GPU_SPOT_VCPUS, GPU_ON_DEMAND_VCPUS) if self.wanted.is_gpu else (SPOT_VCPUS, ON_DEMAND_VCPUS)
        return [(spot, True), (on_demand, False)] if self.wanted.is_spot else [(on_demand, False)]

    def _bootstrap(self) -> Iterator[Finding]:
        link = console_url(self.region, "cloudformation/home")
        remedy = f"Once for each account and region: {self.wanted.bootstrap_command} aws://{self.account}/{self.region}"
        try:
            (stack,) = self.client("cloudformation").describe_stacks(StackName=BOOTSTRAP_STACK)["Stacks"]
        except ClientError as error:
            if error_code(error) != "ValidationError":
                raise
            message = f"Account {self.account} has not been bootstrapped for CDK in {self.region}."
            yield Finding("bootstrap", Verdict.STOP, message, remedy, link)
            return
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        version = outputs.get("BootstrapVersion", "")
        if not version.isdecimal() or int(version) < BOOTSTRAP_VERSION:
            message = f"The bootstrap stack has version {version or 'unknown'}; {BOOTSTRAP_VERSION} is needed."
            yield Finding("bootstrap", Verdict.STOP, message, remedy, link)
        else:
            yield Finding("bootstrap", Verdict.OK, f"version {version}")

    def _vcpus(self, quota: Quota, *, is_spot: bool) -> Iterator[Finding]:
        value, wanted = self._quota(quota), self.wanted
        subject, link = f"quota: {quota.name}", self._quota_link(quota)
        if value >= wanted.vcpus:
            yield Finding(subject, Verdict.OK, f"{value:,.0f}, max_vcpus is {wanted.vcpus:,}")
        elif value >= wanted.vcpus_per_job:
            message = f"{value:,.0f}, while max_vcpus is {wanted.vcpus:,}: a run gets {value:,.0f} of them."
            yield Finding(subject, Verdict.WARNING, message, "Ask for more, or lower max_vcpus.", link)
        else:
            # Without Spot instances jobs still get on-demand ones; without those nothing runs when Spot is out.
            verdict = Verdict.WARNING if is_spot else Verdict.STOP
            message = f"{value:,.0f}, and a job takes {wanted.vcpus_per_job:,}."
            yield Finding(subject, verdict, message, "Ask for more; AWS takes hours to days.", link)

    def _lambda_concurrency(self) -> Iterator[Finding]:
        subject, value = f"quota: {LAMBDA_CONCURRENCY.name}", self._quota(LAMBDA_CONCURRENCY)
        if value >= FEW_LAMBDAS:
            yield Finding(subject, Verdict.OK, f"{value:,.0f}")
        else:
            message = f"{value:,.0f}: shards that end at once wait for each other's verification; nothing is lost."
            yield Finding(subject, Verdict.WARNING, message, "Ask for 1,000.", self._quota_link(LAMBDA_CONCURRENCY))

    def _vpcs(self) -> Iterator[Finding]:
        subject, value = f"quota: {VPCS.name}", self._quota(VPCS)
        used = sum(len(page["Vpcs"]) for page in self.client("ec2").get_paginator("describe_vpcs").paginate())
        if used < value or self._is_deployed():
            yield Finding(subject, Verdict.OK, f"{used:,} of {value:,.0f} are there")
        else:
            message = f"All {value:,.0f} are there, and Stepvec makes one of its own."
            yield Finding(subject, Verdict.STOP, message, "Delete one, or ask for more.", self._quota_link(VPCS))

    def _state_transitions(self) -> Iterator[Finding]:
        pages = self.client("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode=STATES_SERVICE)
        found = [quota for page in pages for quota in page["Quotas"] if STATE_TRANSITIONS in quota["QuotaName"]]
        if not found:
            message = "Service Quotas names none here; with too few, runs wait and lose nothing."
            link = console_url(self.region, f"servicequotas/home/services/{STATES_SERVICE}/quotas")
            yield Finding("quota: state transitions", Verdict.WARNING, message, link=link)
        for quota in found:
            yield Finding("quota: state transitions", Verdict.OK, f"{quota['QuotaName']}: {quota['Value']:,.0f}")

    def _families(self) -> Iterator[Finding]:
        wanted = self.wanted.families
        candidates = list(dict.fromkeys([*wanted, *self.wanted.other_families]))
        pages = (
            self.client("ec2")
            .get_paginator("describe_instance_type_offerings")
            .paginate(
                LocationType="region",
                Filters=[{"Name": "instance-type", "Values": [f"{family}.*" for family in candidates]}],
            )
        )
        offered = {offer["InstanceType"].partition(".")[0] for page in pages for offer in page["InstanceTypeOfferings"]}
        missing = [family for family in wanted if family not in offered]
        if not missing:
            yield Finding("instance families", Verdict.OK, ", ".join(wanted))
            return
        # Batch makes no compute environment with a family that it does not have: "Instance type can only be one of".
        message = f"{self.region} does not have {', '.join(missing)}."
        instead = [family for family in wanted if family in offered] or [
            family for family in candidates if family in offered
        ]
        if instead:
            remedy = f'Use the setting "instance_families": {json.dumps(instead)}.'
        else:
            remedy = "It has none that Stepvec can use: deploy to another region."
        yield Finding("instance families", Verdict.STOP, message, remedy)

    def _zones(self) -> Iterator[Finding]:
        """As many as Fn::GetAZs gives a template: those with a default subnet, or all if none has one.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-getavailabilityzones.html
        """
        ec2, wanted = self.client("ec2"), self.wanted.availability_zones
        only = [{"Name": "zone-type", "Values": ["availability-zone"]}]
        zones = {zone["ZoneName"] for zone in ec2.describe_availability_zones(Filters=only)["AvailabilityZones"]}
        default = [{"Name": "default-for-az", "Values": ["true"]}]
        pages = ec2.get_paginator("describe_subnets").paginate(Filters=default)
        usable = {subnet["AvailabilityZone"] for page in pages for subnet in page["Subnets"]} & zones or zones
        count = f"{len(usable)} of {self.region}'s {len(zones)}"
        if len(usable) < wanted:
            message = f"A template gets {count}, and availability_zones is {wanted}."
            if len(usable) >= MIN_ZONES:
                remedy = f'Use the setting "availability_zones": {MIN_ZONES}'
                remedy += ", or give each zone a default subnet." if len(usable) < len(zones) else "."
            elif len(zones) >= MIN_ZONES:
                remedy = "Give each zone a default subnet (aws ec2 create-default-subnet)."
            else:
                remedy = "Deploy to another region."
            yield Finding("availability zones", Verdict.STOP, message, remedy)
        elif len(usable) > wanted < MAX_ZONES:
            message = f'{wanted}; a template gets {count}: "availability_zones": {MAX_ZONES} gives Spot more choice.'
            yield Finding("availability zones", Verdict.OK, message)
        else:
            yield Finding("availability zones", Verdict.OK, f"{wanted}; a template gets {count}")

    def _image_bucket(self) -> Iterator[Finding]:
        bucket, s3 = self.wanted.image_bucket, self.client("s3")
        if not bucket:
            yield Finding("image bucket", Verdict.OK, "Stepvec makes one.")
            return
        link = console_url(self.region, f"s3/buckets/{bucket}", query=f"region={self.region}&tab=properties")
        try:
            s3.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error_code(error) not in {*MISSING_CODES, "301", *ACCESS_DENIED_CODES}:
                raise
            message = f"{bucket} is not there, not in {self.region}, or not yours to read ({error_code(error)})."
            yield Finding("image bucket", Verdict.STOP, message, "Correct the setting image_bucket.", link)
            return
        yield from self._events(s3, bucket, link)
        yield from self._encryption(s3, bucket, link)

    def _events(self, s3: Any, bucket: str, link: str) -> Iterator[Finding]:
        sends = "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=bucket)
        if sends or not self.wanted.upload_trigger:
            told = "sends its events to EventBridge" if sends else "sends no events; upload_trigger is off"
            yield Finding("image bucket: events", Verdict.OK, f"{bucket} {told}")
        else:
            message = f"{bucket} does not send its events to EventBridge, so no upload starts a run."
            remedy = "Properties, Amazon EventBridge: send notifications to Amazon EventBridge: on."
            yield Finding("image bucket: events", Verdict.STOP, message, remedy, link)

    def _encryption(self, s3: Any, bucket: str, link: str) -> Iterator[Finding]:
        try:
            rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        except ClientError as error:
            if error_code(error) != "ServerSideEncryptionConfigurationNotFoundError":
                raise
            rules = []
        defaults = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
        keys = [
            default.get("KMSMasterKeyID", "aws/s3") for default in defaults if "kms" in default.get("SSEAlgorithm", "")
        ]
        if not keys:
            yield Finding("image bucket: encryption", Verdict.OK, "keys of S3's own")
        else:
            message = f"{bucket} is encrypted with the KMS key {keys[0]}, which the pipeline's roles may not use yet."
            remedy = "In the key's policy allow kms:Decrypt to the job role and to ListImages's role."
            yield Finding("image bucket: encryption", Verdict.WARNING, message, remedy, link)

    def _is_deployed(self) -> bool:
        try:
            self.client("cloudformation").describe_stacks(StackName=self.wanted.pipeline_stack)
        except ClientError as error:
            if error_code(error) != "ValidationError":
                raise
            return False
        return True

    def _quota(self, quota: Quota) -> float:
        client = self.client("service-quotas")
        request = {"ServiceCode": quota.service, "QuotaCode": quota.code}
        try:
            return float(client.get_service_quota(**request)["Quota"]["Value"])
        except ClientError as error:
            if error_code(error) != "NoSuchResourceException":
                raise
            # Where nobody ever asked for another, some quotas have a default value only.
            return float(client.get_aws_default_service_quota(**request)["Quota"]["Value"])

    def _quota_link(self, quota: Quota) -> str:
        return console_url(self.region, f"servicequotas/home/services/{quota.service}/quotas/{quota.code}")


def _unasked(subject: str, error: Exception) -> Finding:
    if error_code(error) in ACCESS_DENIED_CODES:
        remedy = "Ask with credentials that may, or look in the console."
        return Finding(subject, Verdict.WARNING, f"It cannot be asked with these credentials: {error}", remedy)
    return Finding(subject, Verdict.WARNING, f"It cannot be asked here ({error_code(error) or type(error).__name__}).")
