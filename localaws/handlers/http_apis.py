"""API Gateway's HTTP APIs, and who may invoke a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localaws.errors import TemplateError
from localaws.handlers.registry import Change, Deployed, Site, handles, removes, updates
from localaws.http_api.front import endpoint_of
from localaws.http_api.model import DEFAULT_STAGE

_API: Final = "AWS::ApiGatewayV2::Api"
_ROUTE: Final = "AWS::ApiGatewayV2::Route"
_STAGE: Final = "AWS::ApiGatewayV2::Stage"
_INTEGRATION: Final = "AWS::ApiGatewayV2::Integration"
_FORMAT: Final = "2.0"


@handles(_API, applied={"Name", "ProtocolType"}, harmless={"Description"}, fixed={"ProtocolType"})
def api(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates an HTTP API."""
    if properties.get("ProtocolType") != "HTTP":
        raise _unknown(_API, logical_id, "ProtocolType", properties.get("ProtocolType"), "HTTP")
    created = site.client("apigatewayv2").create_api(Name=properties["Name"], ProtocolType="HTTP")
    api_id = created["ApiId"]
    return Deployed(api_id, {"ApiId": api_id, "ApiEndpoint": endpoint_of(site.context.endpoint_url, api_id)})


@updates(_API)
def update_api(site: Site, logical_id: str, change: Change) -> Deployed:  # noqa: ARG001
    """Changes the name."""
    site.client("apigatewayv2").update_api(ApiId=change.name, Name=change.after["Name"])
    return change.deployed


@removes(_API)
def remove_api(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Deletes an API with its routes, integrations and stages."""
    site.client("apigatewayv2").delete_api(ApiId=deployed.physical_id)


@handles(
    _INTEGRATION,
    applied={"ApiId", "IntegrationType", "IntegrationUri", "PayloadFormatVersion"},
    harmless={"Description", "IntegrationMethod", "TimeoutInMillis"},
    fixed={"ApiId"},
)
def integration(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates an integration with a Lambda function."""
    for name, known in (("IntegrationType", "AWS_PROXY"), ("PayloadFormatVersion", _FORMAT)):
        if properties.get(name) != known:
            raise _unknown(_INTEGRATION, logical_id, name, properties.get(name), known)
    created = site.client("apigatewayv2").create_integration(**_integration(properties))
    return Deployed(created["IntegrationId"], {"IntegrationId": created["IntegrationId"]})


@updates(_INTEGRATION)
def update_integration(site: Site, logical_id: str, change: Change) -> Deployed:  # noqa: ARG001
    """Changes the function."""
    site.client("apigatewayv2").update_integration(IntegrationId=change.name, **_integration(change.after))
    return change.deployed


@removes(_INTEGRATION)
def remove_integration(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:
    """Deletes an integration."""
    client = site.client("apigatewayv2")
    client.delete_integration(ApiId=properties["ApiId"], IntegrationId=deployed.physical_id)


def _integration(properties: Mapping[str, Any]) -> dict[str, Any]:
    names = ("ApiId", "IntegrationType", "IntegrationUri", "PayloadFormatVersion", "IntegrationMethod")
    return {name: properties[name] for name in names if name in properties}


@handles(_ROUTE, applied={"ApiId", "RouteKey", "Target", "AuthorizationType"}, fixed={"ApiId"})
def route(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a route, open or for callers whose policies let them."""
    settings = _route(logical_id, properties)
    created = site.client("apigatewayv2").create_route(**settings)
    return Deployed(created["RouteId"], {"RouteId": created["RouteId"]})


@updates(_ROUTE)
def update_route(site: Site, logical_id: str, change: Change) -> Deployed:
    """Changes key, authorization and integration."""
    site.client("apigatewayv2").update_route(RouteId=change.name, **_route(logical_id, change.after))
    return change.deployed


@removes(_ROUTE)
def remove_route(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:
    """Deletes a route."""
    site.client("apigatewayv2").delete_route(ApiId=properties["ApiId"], RouteId=deployed.physical_id)


def _route(logical_id: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    authorization = properties.get("AuthorizationType", "NONE")
    if authorization not in ("NONE", "AWS_IAM"):
        raise _unknown(_ROUTE, logical_id, "AuthorizationType", authorization, "NONE or AWS_IAM")
    if "+}" in properties["RouteKey"]:
        raise _unknown(_ROUTE, logical_id, "RouteKey", properties["RouteKey"], "a path without greedy variables")
    names = ("ApiId", "RouteKey", "Target", "AuthorizationType")
    return {name: properties[name] for name in names if name in properties}


@handles(
    _STAGE,
    applied={"ApiId", "StageName", "AccessLogSettings", "DefaultRouteSettings", "StageVariables"},
    harmless={"AutoDeploy", "Description"},
    fixed={"ApiId", "StageName"},
)
def stage(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates the stage `$default`, which is what the routes are now: nothing is deployed into it."""
    if properties["StageName"] != DEFAULT_STAGE:
        raise _unknown(_STAGE, logical_id, "StageName", properties["StageName"], DEFAULT_STAGE)
    if not properties.get("AutoDeploy"):
        raise _unknown(_STAGE, logical_id, "AutoDeploy", properties.get("AutoDeploy"), "true")
    names = ("ApiId", "StageName", "AutoDeploy", "AccessLogSettings", "DefaultRouteSettings", "StageVariables")
    site.client("apigatewayv2").create_stage(**{name: properties[name] for name in names if name in properties})
    return Deployed(DEFAULT_STAGE)


@updates(_STAGE)
def update_stage(site: Site, logical_id: str, change: Change) -> Deployed:
    """Changes throttling and access log: as a new stage, since moto has no UpdateStage."""
    site.client("apigatewayv2").delete_stage(ApiId=change.after["ApiId"], StageName=DEFAULT_STAGE)
    return stage(site, logical_id, change.after)


@removes(_STAGE)
def remove_stage(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:
    """Deletes a stage."""
    site.client("apigatewayv2").delete_stage(ApiId=properties["ApiId"], StageName=deployed.physical_id)


@handles(
    "AWS::Lambda::Permission",
    applied={"Action", "FunctionName", "Principal", "SourceArn", "SourceAccount"},
    fixed={"Action", "FunctionName", "Principal", "SourceArn", "SourceAccount"},
)
def permission(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Adds a statement to a function's resource policy. Only API Gateway's is asked for; others are not needed here."""
    names = ("Action", "FunctionName", "Principal", "SourceArn", "SourceAccount")
    settings = {name: properties[name] for name in names if name in properties}
    site.client("lambda").add_permission(StatementId=logical_id, **settings)
    return Deployed(logical_id, {"Id": logical_id})


@removes("AWS::Lambda::Permission")
def remove_permission(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:
    """Takes the statement away."""
    client = site.client("lambda")
    client.remove_permission(FunctionName=properties["FunctionName"], StatementId=deployed.physical_id)


def _unknown(kind: str, logical_id: str, name: str, value: object, known: str) -> TemplateError:
    return TemplateError(
        f"{kind} {logical_id} has {name} {value!r}, which the embedded AWS does not know.",
        remedy=f"Locally it is {known}; add others in localaws/handlers/http_apis.py.",
    )
