"""The HTTP API in the template: there when the configuration asks for it, closed to whoever has no permission."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambdas.start_by_http.requests import read_name
from stacks.config import HTTP_BURST_SECONDS
from stacks.http_start import ACCESS_LOG, TIMEOUT_SECONDS
from stepvec import limits
from stepvec.runs.http_start import INPUT_BYTES, NAME_PREFIX, ROUTES, TOKEN_CHARACTERS
from tests.infra.conftest import Synthesize
from tests.infra.test_templates import PIPELINE, listed, of_type, one, statements


@pytest.fixture
def template(synthesized: Synthesize) -> dict[str, Any]:
    return dict(synthesized(http_start=True, http_rate=7).pipeline)


def test_without_the_setting_there_is_no_api(templates: dict[str, Any]) -> None:
    assert not [one for one in templates[PIPELINE]["Resources"].values() if "ApiGateway" in one["Type"]]
    assert "HttpUrl" not in templates[PIPELINE]["Outputs"]


def test_every_route_needs_a_signature_and_goes_to_the_one_function(template: dict[str, Any]) -> None:
    routes = of_type(template, "AWS::ApiGatewayV2::Route").values()
    assert {route["RouteKey"] for route in routes} == {f"{method} {path}" for method, path in ROUTES}
    assert {route["AuthorizationType"] for route in routes} == {"AWS_IAM"}
    integration = one(template, "AWS::ApiGatewayV2::Integration")
    assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")
    # No other origin's page may call it.
    assert "CorsConfiguration" not in one(template, "AWS::ApiGatewayV2::Api")


def test_only_this_api_invokes_the_function_and_only_by_its_routes(template: dict[str, Any]) -> None:
    permissions = of_type(template, "AWS::Lambda::Permission").values()
    assert {permission["Principal"] for permission in permissions} == {"apigateway.amazonaws.com"}
    api = next(iter(of_type(template, "AWS::ApiGatewayV2::Api")))
    ends = set()
    for permission in permissions:
        *_, api_id, end = permission["SourceArn"]["Fn::Join"][1]
        assert api_id == {"Ref": api}
        ends.add(end)
    assert ends == {f"/*/*{path}" for _, path in ROUTES}


def test_the_stage_throttles_and_logs_who_asked_for_what(template: dict[str, Any]) -> None:
    stage = one(template, "AWS::ApiGatewayV2::Stage")
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": 7, "ThrottlingBurstLimit": 7 * HTTP_BURST_SECONDS}
    assert json.loads(stage["AccessLogSettings"]["Format"]) == ACCESS_LOG
    assert {"$context.identity.userArn", "$context.status", "$context.routeKey"} <= set(ACCESS_LOG.values())
    assert "\n" not in stage["AccessLogSettings"]["Format"]


def test_the_function_may_start_this_machine_and_read_its_reports_and_no_more(template: dict[str, Any]) -> None:
    (policy,) = (
        policy["PolicyDocument"]["Statement"]
        for policy in of_type(template, "AWS::IAM::Policy").values()
        if "StartByHttpRole" in policy["PolicyName"]
    )
    assert {action for statement in policy for action in listed(statement["Action"])} == {
        "logs:CreateLogStream", "logs:PutLogEvents", "states:StartExecution", "states:DescribeExecution",
        "s3:GetObject", "s3:ListBucket",
    }  # fmt: skip
    (read,) = (statement for statement in policy if statement["Action"] == "s3:GetObject")
    assert "/runs/*/report.json" in json.dumps(read["Resource"])
    for statement in statements(template):
        assert not [action for action in listed(statement["Action"]) if "*" in action]


def test_limits_of_aws_are_kept(template: dict[str, Any]) -> None:
    assert TIMEOUT_SECONDS < limits.HTTP_API_TIMEOUT_SECONDS
    (function,) = (
        function
        for function in of_type(template, "AWS::Lambda::Function").values()
        if "start_by_http" in function["Handler"]
    )
    assert function["Timeout"] == TIMEOUT_SECONDS
    assert limits.HTTP_API_BURST <= limits.HTTP_API_REQUESTS_PER_SECOND
    # In base64, beside headers and context, under Lambda's 6 MB.
    assert INPUT_BYTES < limits.STATE_PAYLOAD_BYTES < limits.HTTP_API_BODY_BYTES
    name = read_name({"headers": {"idempotency-key": "x" * TOKEN_CHARACTERS}})
    assert len(name) == limits.EXECUTION_NAME_CHARACTERS
    assert name.startswith(NAME_PREFIX)
