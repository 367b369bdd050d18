"""AWS Batch: instances that scale to zero, a queue, and the job definition of the worker's image."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.config import PipelineConfig
from stacks.data_stack import DataStack
from stepvec.exit_codes import DO_NOT_RETRY, TERMINATED, TRY_AGAIN
from stepvec.model import ModelIdentity

JOB_VCPUS: Final = 1
"""One process of one thread a vCPU beats threads inside a process (shared findings: MXNet); jobs scale, not threads."""
JOB_MEMORY_MIB: Final = 1_800
"""Fits one job a vCPU on the c families (2 GiB a vCPU, less what the ECS agent and the system take)."""
JOB_ATTEMPTS: Final = 5
JOB_ATTEMPT_HOURS: Final = 6
INSTANCE_FAMILIES: Final = (
    ec2.InstanceClass.C7I,
    ec2.InstanceClass.C6I,
    ec2.InstanceClass.M7I,
    ec2.InstanceClass.M6I,
)


class Compute(Construct):
    """Spot instances of several families, from 0 to `max_vcpus`; the queue; the job definition and the job's role."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        data: DataStack,
        config: PipelineConfig,
        model: ModelIdentity,
        worker_context: Path,
    ) -> None:
        super().__init__(scope, construct_id)
        environment = batch.ManagedEc2EcsComputeEnvironment(
            self,
            "Spot",
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC),
            spot=True,
            allocation_strategy=batch.AllocationStrategy.SPOT_PRICE_CAPACITY_OPTIMIZED,
            minv_cpus=0,
            maxv_cpus=config.max_vcpus,
            use_optimal_instance_classes=False,
            instance_classes=list(INSTANCE_FAMILIES),
            images=[batch.EcsMachineImage(image_type=batch.EcsMachineImageType.ECS_AL2023)],
        )
        self.queue = batch.JobQueue(
            self,
            "Queue",
            priority=1,
            compute_environments=[batch.OrderedComputeEnvironment(compute_environment=environment, order=1)],
        )
        self.log_group = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=cdk.RemovalPolicy.DESTROY
        )
        self.job_role = _job_role(self, data)
        container = batch.EcsEc2ContainerDefinition(
            self,
            "Container",
            image=ecs.ContainerImage.from_docker_image_asset(
                ecr_assets.DockerImageAsset(
                    self, "Image", directory=str(worker_context), platform=ecr_assets.Platform.LINUX_AMD64
                )
            ),
            cpu=JOB_VCPUS,
            memory=cdk.Size.mebibytes(JOB_MEMORY_MIB),
            command=["--shard", "Ref::shard"],
            environment={
                "STEPVEC_IMAGE_BUCKET": data.image_bucket.bucket_name,
                "STEPVEC_TABLE": data.table.table_name,
                "STEPVEC_MODEL": str(model),
                "STEPVEC_VECTOR_TYPE": config.vector_type,
            },
            job_role=self.job_role,
            logging=ecs.LogDriver.aws_logs(stream_prefix="worker", log_group=self.log_group),
        )
        self.job_definition = batch.EcsJobDefinition(
            self,
            "Job",
            container=container,
            retry_attempts=JOB_ATTEMPTS,
            retry_strategies=_retry_strategies(),
            timeout=cdk.Duration.hours(JOB_ATTEMPT_HOURS),
        )


def _retry_strategies() -> list[batch.RetryStrategy]:
    """What Batch does with an attempt that failed; the first rule that matches counts, and no match would retry.

    https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html
    """
    exit_rule = batch.RetryStrategy.of(batch.Action.EXIT, batch.Reason.custom(on_exit_code=str(DO_NOT_RETRY)))
    spot = batch.RetryStrategy.of(batch.Action.RETRY, batch.Reason.SPOT_INSTANCE_RECLAIMED)
    terminated = batch.RetryStrategy.of(batch.Action.RETRY, batch.Reason.custom(on_exit_code=str(TERMINATED)))
    passing = batch.RetryStrategy.of(batch.Action.RETRY, batch.Reason.custom(on_exit_code=str(TRY_AGAIN)))
    last = batch.RetryStrategy.of(batch.Action.EXIT, batch.Reason.custom(on_reason="*"))
    return [exit_rule, spot, terminated, passing, last]


def _job_role(scope: Construct, data: DataStack) -> iam.Role:
    role = iam.Role(scope, "JobRole", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    role.add_to_policy(
        iam.PolicyStatement(actions=["s3:GetObject"], resources=[data.image_bucket.arn_for_objects("*")])
    )
    role.add_to_policy(
        # Without it S3 answers 403 for an object that is gone, and NotFound could not be told from AccessDenied.
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
        iam.PolicyStatement(
            actions=["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"], resources=[data.table.table_arn]
        )
    )
    return role
