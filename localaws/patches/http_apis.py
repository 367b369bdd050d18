"""HTTP APIs as moto's API Gateway keeps them: it has their control plane, and answers none of their requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.apigatewayv2.models import apigatewayv2_backends
from moto.awslambda.models import lambda_backends
from moto.logs.models import logs_backends

from localaws.functions.pool import ConcurrencyExceededError
from localaws.http_api.model import (
    DEFAULT_STAGE,
    FunctionUnavailableError,
    HttpApi,
    Integration,
    Invoked,
    Route,
    Stage,
)
from localaws.patches.functions import read_function
from localaws.patches.moto_state import MotoLogs
from localaws.patches.running import current


class MotoHttpApis:
    """What `localaws.http_api.model.HttpApis` asks for, of one account."""

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self._region = region

    def find(self, api_id: str) -> HttpApi | None:
        """The API of this id, as it is now."""
        api = apigatewayv2_backends[self._account][self._region].apis.get(api_id)
        if api is None or api.protocol_type != "HTTP":
            return None
        routes = [_route(api, route) for route in list(api.routes.values())]
        stage = api.stages.get(DEFAULT_STAGE)
        return HttpApi(api_id, tuple(route for route in routes if route), _stage(stage) if stage else None)

    def function_policy(self, function_arn: str) -> Mapping[str, Any]:
        """The resource policy of a function; without statements where the function is not there."""
        function = self._function(function_arn)
        return {"Statement": list(function.policy.statements) if function is not None else []}

    def invoke(self, function_arn: str, event: Mapping[str, Any]) -> Invoked:
        """Invokes a function and waits. Raises FunctionUnavailableError."""
        function = self._function(function_arn)
        if function is None:
            return Invoked(b"", failed=True)
        try:
            result = current().functions.invoke(read_function(function), event)
        except ConcurrencyExceededError as error:
            raise FunctionUnavailableError(str(error)) from error
        return Invoked(result.payload, result.failed)

    def logs(self) -> MotoLogs:
        """CloudWatch Logs."""
        return MotoLogs(logs_backends[self._account][self._region])

    def _function(self, arn: str) -> Any:
        functions = lambda_backends[self._account][self._region].list_functions()
        return next((one for one in functions if one.function_arn == arn), None)


def _route(api: Any, route: Any) -> Route | None:
    integration = api.integrations.get((route.target or "").removeprefix("integrations/"))
    if integration is None:
        return None
    target = Integration(integration.integration_uri, integration.timeout_in_millis / 1000)
    return Route(route.route_key, route.authorization_type or "NONE", target)


def _stage(stage: Any) -> Stage:
    settings, log = stage.default_route_settings or {}, stage.access_log_settings or {}
    arn = str(log.get("destinationArn", ""))
    return Stage(
        rate=float(settings.get("throttlingRateLimit", 0)),
        burst=int(settings.get("throttlingBurstLimit", 0)),
        log_group=arn.partition(":log-group:")[2].removesuffix(":*"),
        log_format=str(log.get("format", "")),
        variables=stage.stage_variables,
    )
