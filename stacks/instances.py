"""The compute environments of the queue: Spot instances first, on-demand ones second."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from stacks.config import PipelineConfig
from stacks.network import Network

ROOT_DEVICE: Final = "/dev/xvda"
"""Of Amazon Linux 2023."""


def named_by_processor(construct_id: str, config: PipelineConfig) -> str:
    """`construct_id` for what must not become another processor's in place: queue and compute environments.

    A queue's environments must all be of one processor, and CloudFormation would change one after the other.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-batch-jobqueue-computeenvironmentorder.html
    """
    return construct_id if config.architecture == "x86_64" else f"{construct_id}{config.architecture.capitalize()}"


def compute_environments(
    scope: Construct, network: Network, config: PipelineConfig
) -> list[batch.ManagedEc2EcsComputeEnvironment]:
    """The queue's compute environments, in order."""
    template = _launch_template(scope, config)
    on_demand = _environment(
        scope,
        named_by_processor("OnDemand", config),
        network,
        config,
        template,
        strategy=batch.AllocationStrategy.BEST_FIT_PROGRESSIVE,
    )
    if not config.spot:
        return [on_demand]
    spot = _environment(
        scope,
        named_by_processor("Spot", config),
        network,
        config,
        template,
        strategy=batch.AllocationStrategy.SPOT_PRICE_CAPACITY_OPTIMIZED,
        spot=True,
    )
    return [spot, on_demand]


def _environment(
    scope: Construct,
    construct_id: str,
    network: Network,
    config: PipelineConfig,
    template: ec2.LaunchTemplate,
    *,
    strategy: batch.AllocationStrategy,
    spot: bool = False,
) -> batch.ManagedEc2EcsComputeEnvironment:
    image_type = (
        batch.EcsMachineImageType.ECS_AL2023_NVIDIA if config.hardware.gpus else batch.EcsMachineImageType.ECS_AL2023
    )
    environment = batch.ManagedEc2EcsComputeEnvironment(
        scope,
        construct_id,
        vpc=network.vpc,
        vpc_subnets=network.subnets,
        security_groups=[network.workers],
        launch_template=template,
        spot=spot,
        allocation_strategy=strategy,
        minv_cpus=0,
        maxv_cpus=config.max_vcpus,
        use_optimal_instance_classes=False,
        instance_classes=[ec2.InstanceClass[family.upper()] for family in config.hardware.families],
        images=[batch.EcsMachineImage(image_type=image_type)],
        # With each change of its infrastructure, such as a new launch template: docs/operate.md.
        update_to_latest_image_version=True,
    )
    resource = environment.node.default_child
    assert isinstance(resource, cdk.CfnResource)  # noqa: S101 - what the environment is made of
    # Without a version Batch keeps the one that was the default when the environment was created.
    resource.add_property_override("ComputeResources.LaunchTemplate.Version", template.latest_version_number)
    return environment


def _launch_template(scope: Construct, config: PipelineConfig) -> ec2.LaunchTemplate:
    """IMDSv2 only, one hop: containers cannot get the instance's credentials, only the job role's, from ECS."""
    return ec2.LaunchTemplate(
        scope,
        "LaunchTemplate",
        require_imdsv2=True,
        http_put_response_hop_limit=1,
        block_devices=[
            ec2.BlockDevice(
                device_name=ROOT_DEVICE,
                # With AWS's own EBS key, even with `kms`: Spot would need grants on a customer managed key.
                volume=ec2.BlockDeviceVolume.ebs(
                    config.hardware.root_volume_gib, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3
                ),
            )
        ],
    )
