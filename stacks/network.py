"""The network of the Batch instances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from stacks.config import PipelineConfig

ENDPOINTS: Final = {
    "Ecs": ec2.InterfaceVpcEndpointAwsService.ECS,
    "EcsAgent": ec2.InterfaceVpcEndpointAwsService.ECS_AGENT,
    "EcsTelemetry": ec2.InterfaceVpcEndpointAwsService.ECS_TELEMETRY,
    "Ecr": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDocker": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
}
"""The services that an instance without internet access calls. Not Batch: no instance or job calls it.

https://docs.aws.amazon.com/batch/latest/userguide/vpc-interface-endpoints.html
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html
"""


VECTORS_ENDPOINT: Final = "S3Vectors"
"""Only where there is an index. It has no gateway endpoint, as S3 and DynamoDB have.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-privatelink.html
"""

ZONES_OF_AN_UNKNOWN_REGION: Final = 2
"""As many as CDK takes by itself where it does not know the account, and every region has."""


class Network(Construct):
    """Public subnets without ingress, or isolated ones; S3 and DynamoDB by gateway endpoints, which cost nothing.

    Neither has a NAT gateway, which would charge for every byte of the images (docs/cost.md).
    """

    def __init__(self, scope: Construct, construct_id: str, *, config: PipelineConfig) -> None:
        super().__init__(scope, construct_id)
        is_private = config.network == "private"
        kind = ec2.SubnetType.PRIVATE_ISOLATED if is_private else ec2.SubnetType.PUBLIC
        zones = config.availability_zones
        # Subnets for another number of zones would overlap with those that exist: they get a VPC of their own.
        self.vpc = ec2.Vpc(
            self,
            "Vpc" if zones == ZONES_OF_AN_UNKNOWN_REGION else f"VpcOf{zones}Zones",
            # Not max_azs, which cannot exceed what CDK takes by itself. Fails where the region has fewer: doctor asks.
            availability_zones=[cdk.Fn.select(number, cdk.Fn.get_azs()) for number in range(zones)],
            nat_gateways=0,
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Workers", subnet_type=kind, map_public_ip_on_launch=None if is_private else True
                )
            ],
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
            },
        )
        self.subnets = ec2.SubnetSelection(subnet_type=kind)
        self.workers = ec2.SecurityGroup(self, "Workers", vpc=self.vpc, description="Stepvec instances: no ingress")
        if is_private:
            vectors = {VECTORS_ENDPOINT: ec2.InterfaceVpcEndpointAwsService.S3_VECTORS} if config.vector_index else {}
            self._add_endpoints({**ENDPOINTS, **vectors})

    def _add_endpoints(self, endpoints: Mapping[str, ec2.IInterfaceVpcEndpointService]) -> None:
        group = ec2.SecurityGroup(
            self,
            "EndpointAccess",
            vpc=self.vpc,
            description="Interface endpoints: HTTPS from the instances",
            allow_all_outbound=False,
        )
        group.add_ingress_rule(self.workers, ec2.Port.tcp(443), "HTTPS from the instances")
        for name, service in endpoints.items():
            # Not `open`: that would let the whole VPC in.
            self.vpc.add_interface_endpoint(
                name, service=service, subnets=self.subnets, security_groups=[group], open=False
            )
