"""The HTTP API that starts runs, if the configuration asks for it: IAM-signed, throttled, with an access log."""

from __future__ import annotations

import json
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from stacks.config import HTTP_BURST_SECONDS
from stacks.startable import Startable
from stacks.telemetry import log_group
from stepvec.limits import HTTP_API_TIMEOUT_SECONDS
from stepvec.runs.http_start import HTTP_OUTPUT, ROUTES

TIMEOUT_SECONDS: Final = HTTP_API_TIMEOUT_SECONDS - 1
"""Of the function: its own end comes before the API's, and is in its log."""
ACCESS_LOG: Final = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "caller": "$context.identity.userArn",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "route": "$context.routeKey",
    "path": "$context.path",
    "status": "$context.status",
    "responseLength": "$context.responseLength",
    "error": "$context.integrationErrorMessage",
}
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html"""


class HttpStart(Construct):
    """API, stage, three routes and the function behind them."""

    def __init__(self, scope: Construct, construct_id: str, startable: Startable) -> None:
        super().__init__(scope, construct_id)
        config = startable.config
        function = _create_function(startable)
        api = apigateway.HttpApi(
            self,
            "Api",
            api_name=f"{config.name} runs",
            description="Starts runs, and says how they are",
            create_default_stage=False,
            default_authorizer=authorizers.HttpIamAuthorizer(),
        )
        integration = integrations.HttpLambdaIntegration("StartByHttp", function)
        for method, path in ROUTES:
            api.add_routes(path=path, methods=[apigateway.HttpMethod[method]], integration=integration)
        stage = apigateway.HttpStage(
            self,
            "Stage",
            http_api=api,
            auto_deploy=True,
            throttle=apigateway.ThrottleSettings(
                rate_limit=config.http_rate, burst_limit=HTTP_BURST_SECONDS * config.http_rate
            ),
        )
        resource = stage.node.default_child
        assert isinstance(resource, apigateway.CfnStage)  # noqa: S101 - what HttpStage is made of
        # The L2 takes an object of an interface, which a Python class can be only by jsii's decorators.
        resource.access_log_settings = apigateway.CfnStage.AccessLogSettingsProperty(
            destination_arn=log_group(self, "AccessLog", config, startable.data.key).log_group_arn,
            format=json.dumps(ACCESS_LOG, separators=(",", ":")),
        )
        cdk.CfnOutput(cdk.Stack.of(self), HTTP_OUTPUT, value=api.api_endpoint)


def _create_function(startable: Startable) -> lambda_.Function:
    machine, data, config = startable.workflow.state_machine, startable.data, startable.config
    work = data.work_bucket
    executions = cdk.Stack.of(startable.functions).format_arn(
        service="states",
        resource="execution",
        resource_name=f"{machine.state_machine_name}:*",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    return startable.functions.create(
        "StartByHttp",
        environment={
            "STEPVEC_IMAGE_BUCKET": data.image_bucket.bucket_name,
            "STEPVEC_WORK_BUCKET": work.bucket_name,
            "STEPVEC_STATE_MACHINE_ARN": machine.state_machine_arn,
            "STEPVEC_SHARD_SIZE": str(config.shard_size),
            "STEPVEC_SUFFIXES": ",".join(config.suffix_rule.more),
        },
        statements=[
            iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine.state_machine_arn]),
            iam.PolicyStatement(actions=["states:DescribeExecution"], resources=[executions]),
            iam.PolicyStatement(actions=["s3:GetObject"], resources=[work.arn_for_objects("runs/*/report.json")]),
            # Without it S3 answers 403, not 404, for a report that is not there.
            iam.PolicyStatement(actions=["s3:ListBucket"], resources=[work.bucket_arn]),
        ],
        timeout=cdk.Duration.seconds(TIMEOUT_SECONDS),
    )
