"""AWS Batch: instances that scale to zero, a queue, and the job definition of the worker's image."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.config import PipelineConfig
from stacks.data_stack import DataStack
from stacks.encryption import allow_use
from stacks.instances import compute_environments, named_by_processor
from stacks.network import Network
from stacks.telemetry import log_group
from stepvec.exit_codes import DO_NOT_RETRY, UNHANDLED_ERROR, WRONG_ARGUMENTS
from stepvec.rows.model import ModelIdentity

JOB_ATTEMPTS: Final = 5
JOB_ATTEMPT_HOURS: Final = 6
FINAL_EXIT_CODES: Final = (DO_NOT_RETRY, UNHANDLED_ERROR, WRONG_ARGUMENTS)
"""Another attempt would end the same way."""
WORKER_USER: Final = "10001"
"""As in worker_image/Dockerfile: an unprivileged user."""
SCRATCH_MIB: Final = 256
"""Size of the in-memory /tmp, the only writable place: shard files of more than 32 MiB are spooled there."""
NO_CAPACITY_HOURS: Final = 4
"""Batch cancels a job that waits longer than this for any instance; its run reports its images as missing."""
MISCONFIGURED_MINUTES: Final = 10
"""The minimum that Batch accepts: waiting does not help a job that fits no instance."""
_PLATFORMS: Final = {"x86_64": ecr_assets.Platform.LINUX_AMD64, "arm64": ecr_assets.Platform.LINUX_ARM64}
"""Of the image. The job definition names none: runtimePlatform is for Fargate and ECS Managed Instances, and on EC2 the
compute environment's instance types decide, which are of one processor, and for which Batch takes the AMI.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-batch-jobdefinition-runtimeplatform.html"""


class Compute(Construct):
    """The queue and its compute environments, the job definition, the job's role and log group."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        network: Network,
        data: DataStack,
        config: PipelineConfig,
        model: ModelIdentity,
        worker_context: Path,
    ) -> None:
        super().__init__(scope, construct_id)
        self.queue = batch.JobQueue(
            self,
            named_by_processor("Queue", config),
            priority=1,
            compute_environments=[
                batch.OrderedComputeEnvironment(compute_environment=environment, order=order)
                for order, environment in enumerate(compute_environments(self, network, config), start=1)
            ],
            job_state_time_limit_actions=_stuck_jobs(),
        )
        self.log_group = log_group(self, "Logs", config, data.key)
        self.job_role = _job_role(self, data)
        self._image = ecr_assets.DockerImageAsset(
            self,
            "Image",
            directory=str(worker_context),
            target=config.hardware.image_target,
            platform=_PLATFORMS[config.architecture],
        )
        self._environment = {
            # ECS agents before 1.104.0 set no region, newer ones only if neither is set; botocore reads the first.
            "AWS_DEFAULT_REGION": cdk.Aws.REGION,
            "AWS_REGION": cdk.Aws.REGION,
            "STEPVEC_IMAGE_BUCKET": data.image_bucket.bucket_name,
            "STEPVEC_TABLE": data.table.table_name,
            "STEPVEC_MODEL": str(model),
            "STEPVEC_VECTOR_TYPE": config.vector_type,
            "STEPVEC_MAX_IMAGE_BYTES": str(config.max_image_bytes),
            "STEPVEC_MAX_IMAGE_PIXELS": str(config.max_image_pixels),
            # ECS gives a container CPU shares, which it cannot read, and no quota.
            "STEPVEC_VCPUS": str(config.hardware.vcpus),
            "POWERTOOLS_SERVICE_NAME": cdk.Stack.of(self).stack_name,
            **({"STEPVEC_VECTOR_INDEX": data.vector_index.arn} if data.vector_index else {}),
        }
        self.job_definition = batch.EcsJobDefinition(
            self,
            "Job",
            container=self._container(config),
            retry_attempts=JOB_ATTEMPTS,
            retry_strategies=_retry_strategies(),
            timeout=cdk.Duration.hours(JOB_ATTEMPT_HOURS),
            # A run that is going on submits the revision that it was started with.
            skip_deregister_on_update=True,
        )

    @property
    def worker_version(self) -> str:
        """What a new worker, or other settings of it, changes: images that failed before are tried again."""
        settings = {name: value for name, value in self._environment.items() if not cdk.Token.is_unresolved(value)}
        described = json.dumps([self._image.asset_hash, settings], sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()

    def _container(self, config: PipelineConfig) -> batch.EcsEc2ContainerDefinition:
        hardware = config.hardware
        # PID 1 passes signals on and reaps processes; the worker is its child.
        linux = batch.LinuxParameters(self, "Linux", init_process_enabled=True)
        linux.add_tmpfs(
            batch.Tmpfs(
                container_path="/tmp",  # noqa: S108 - the container's own, in memory
                size=cdk.Size.mebibytes(SCRATCH_MIB),
                mount_options=[batch.TmpfsMountOption.NOSUID, batch.TmpfsMountOption.NODEV],
            )
        )
        return batch.EcsEc2ContainerDefinition(
            self,
            "Container",
            image=ecs.ContainerImage.from_docker_image_asset(self._image),
            cpu=hardware.vcpus,
            memory=cdk.Size.mebibytes(hardware.memory_mib),
            gpu=hardware.gpus or None,
            command=["--shard", "Ref::shard", *hardware.arguments],
            environment=self._environment,
            job_role=self.job_role,
            logging=ecs.LogDriver.aws_logs(stream_prefix="worker", log_group=self.log_group),
            user=WORKER_USER,
            readonly_root_filesystem=True,
            linux_parameters=linux,
        )


def _stuck_jobs() -> list[batch.JobStateTimeLimitAction]:
    """Cancel jobs that stay RUNNABLE: their run continues without them and reports what is missing.

    https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
    """
    reasons = batch.JobStateTimeLimitActionsReason
    limits = (
        (reasons.INSUFFICIENT_INSTANCE_CAPACITY, cdk.Duration.hours(NO_CAPACITY_HOURS)),
        (reasons.COMPUTE_ENVIRONMENT_MAX_RESOURCE, cdk.Duration.minutes(MISCONFIGURED_MINUTES)),
        (reasons.JOB_RESOURCE_REQUIREMENT, cdk.Duration.minutes(MISCONFIGURED_MINUTES)),
    )
    return [
        batch.JobStateTimeLimitAction(
            action=batch.JobStateTimeLimitActionsAction.CANCEL,
            max_time=time,
            reason=reason,
            state=batch.JobStateTimeLimitActionsState.RUNNABLE,
        )
        for reason, time in limits
    ]


def _retry_strategies() -> list[batch.RetryStrategy]:
    """What ends a job at once; everything else is retried: lost hosts, images that cannot be pulled, agents that fail.

    "If none of the listed conditions match, then the job is retried":
    https://docs.aws.amazon.com/batch/latest/APIReference/API_RetryStrategy.html
    """
    reasons = [batch.Reason.custom(on_exit_code=str(code)) for code in FINAL_EXIT_CODES]
    # The container's memory is what the job definition says: another attempt would need as much.
    reasons.append(batch.Reason.custom(on_reason="OutOfMemoryError*"))
    return [batch.RetryStrategy.of(batch.Action.EXIT, reason) for reason in reasons]


def _job_role(scope: Construct, data: DataStack) -> iam.Role:
    role = iam.Role(scope, "JobRole", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    role.add_to_policy(
        iam.PolicyStatement(actions=["s3:GetObject"], resources=[data.image_bucket.arn_for_objects("*")])
    )
    role.add_to_policy(
        # Without it S3 answers 403 for a deleted object, and NotFound could not be told from AccessDenied.
        iam.PolicyStatement(actions=["s3:ListBucket"], resources=[data.image_bucket.bucket_arn])
    )
    role.add_to_policy(
        iam.PolicyStatement(actions=["s3:GetObject"], resources=[data.work_bucket.arn_for_objects("runs/*")])
    )
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["s3:PutObject"],
            resources=[
                data.work_bucket.arn_for_objects("runs/*/shard-reports/*"),
                data.work_bucket.arn_for_objects("runs/*/progress/*"),
            ],
        )
    )
    role.add_to_policy(
        iam.PolicyStatement(actions=["dynamodb:BatchGetItem", "dynamodb:PutItem"], resources=[data.table.table_arn])
    )
    if data.vector_index is not None:
        role.add_to_policy(data.vector_index.allow("GetVectors", "PutVectors"))
    allow_use(role, data.key)
    return role
