"""Answers requests of HTTP APIs as API Gateway does: route, signature, policies, throttling, function, access log."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from localaws.http_api.access_log import log_line, values_of, write_line
from localaws.http_api.model import DEFAULT_STAGE, FunctionUnavailableError, HttpApi, HttpApis, Route
from localaws.http_api.payload import Caller, Received, Response, event_of, response_of
from localaws.http_api.routing import find_route
from localaws.http_api.signature import SignatureError, SignedRequest, check_signature
from localaws.http_api.throttle import TokenBuckets
from localaws.iam.authorizer import AccessDenied, Authorizer
from localaws.iam.credentials import CredentialStore
from localaws.iam.gate import Application, StartResponse
from localaws.iam.policy import Decision, Requirement, evaluate, statements_for_service

PREFIX: Final = "/_aws/execute-api/"
"""Before an API's id in the path: on AWS the id is in the host's name, and here there is one host."""
SERVICE: Final = "execute-api"
BODY_BYTES: Final = 10_000_000
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""
EVENT_BYTES: Final = 6_291_556
"""The limit of Lambda on a synchronous invocation, as its error message states it."""
_LOGGER: Final = logging.getLogger(__name__)


def endpoint_of(url: str, api_id: str) -> str:
    """Where the API is, on the embedded AWS at `url`: its ApiEndpoint."""
    return f"{url}{PREFIX}{api_id}"


class HttpApiFront:
    """A WSGI application before that of AWS's own APIs (`other`), for the paths that begin with PREFIX."""

    def __init__(
        self,
        other: Application,
        apis: HttpApis,
        *,
        credentials: CredentialStore,
        authorizer: Authorizer,
        account: str,
        region: str,
    ) -> None:
        self._other = other
        self._apis = apis
        self._credentials = credentials
        self._authorizer = authorizer
        self._account = account
        self._region = region
        self._buckets = TokenBuckets()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answers the request."""
        target = str(environ.get("RAW_URI") or environ["PATH_INFO"])
        if not target.startswith(PREFIX):
            return self._other(environ, start_response)
        path, _, query = target.partition("?")
        api_id, _, rest = path.removeprefix(PREFIX).partition("/")
        api = self._apis.find(api_id)
        body = _read_body(environ)
        request = _received(environ, f"/{rest}", query, body or b"")
        if api is None or api.stage is None:
            # Other ids have no host on AWS.
            response = Response.message(404, "Not Found")
        elif body is None:
            response = Response.message(413, "Request Entity Too Large")
        else:
            response = self._answer(api, request, signed_path=path)
        return _send(environ, start_response, request, response, keep_open=body is not None)

    def _answer(self, api: HttpApi, request: Received, *, signed_path: str) -> Response:
        found = find_route(api.routes, request.method, request.path)
        route, variables = found if found else (None, {})
        caller = self._caller(request, signed_path)
        response = self._pass_on(api, request, route, variables, caller)
        stage = api.stage
        if stage is not None and stage.log_group:
            values = values_of(request, response, api, route, account=self._account, caller=caller)
            write_line(self._apis.logs(), stage.log_group, log_line(stage.log_format, values))
        return response

    def _pass_on(
        self, api: HttpApi, request: Received, route: Route | None, variables: Mapping[str, str], caller: Caller | None
    ) -> Response:
        stage = api.stage
        if route is None or stage is None:
            return Response.message(404, "Not Found")
        if route.authorization == "AWS_IAM" and not self._may_invoke(api, request, caller):
            return Response.message(403, "Forbidden")
        if stage.rate and not self._buckets.take(api.api_id, rate=stage.rate, burst=stage.burst):
            return Response.message(429, "Too Many Requests")
        named = caller if route.authorization == "AWS_IAM" else None
        event = event_of(request, api, route, variables, account=self._account, caller=named)
        if len(json.dumps(event).encode()) > EVENT_BYTES:
            return Response.message(413, "Request Entity Too Large")
        if not self._function_allows(api, route):
            _LOGGER.warning("the function's resource policy does not let API Gateway invoke it for %s", route.key)
            return Response.message(500, "Internal Server Error")
        try:
            invoked = self._apis.invoke(route.integration.function_arn, event)
        except FunctionUnavailableError:
            return Response.message(503, "Service Unavailable")
        if invoked.failed:
            return Response.message(500, "Internal Server Error")
        try:
            return response_of(invoked.payload)
        except (ValueError, TypeError) as error:
            _LOGGER.warning("the function's answer is no response: %s", error)
            return Response.message(500, "Internal Server Error")

    def _caller(self, request: Received, signed_path: str) -> Caller | None:
        """Who signed the request; None where nobody did, or not as it came here."""
        signed = SignedRequest(request.method, signed_path, request.query, request.headers, request.body)
        try:
            key = check_signature(
                signed,
                region=self._region,
                service=SERVICE,
                secret_of=self._credentials.identities.secret_of,
                now=datetime.now(UTC),
            )
        except SignatureError as error:
            _LOGGER.debug("request %s: %s", request.request_id, error)
            return None
        principal = self._credentials.principal(key)
        if principal is None or principal.session_token != request.headers.get("x-amz-security-token", ""):
            return None
        return Caller(key, principal.arn)

    def _may_invoke(self, api: HttpApi, request: Received, caller: Caller | None) -> bool:
        """https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-access-control-iam.html"""
        principal = self._credentials.principal(caller.access_key_id) if caller else None
        if principal is None:
            return False
        resource = f"{self._arn(api)}/{request.method}{request.path}"
        try:
            self._authorizer.check(principal, Requirement("execute-api:Invoke", resource, {}))
        except AccessDenied:
            return False
        return True

    def _function_allows(self, api: HttpApi, route: Route) -> bool:
        """What a function's resource policy says of the route. The route's own path counts, with its {variables}."""
        if not self._authorizer.enforcing:
            return True
        function = route.integration.function_arn
        source = f"{self._arn(api)}/{route.method or '*'}{route.path or '/*'}"
        context = {"aws:sourcearn": source, "aws:sourceaccount": self._account}
        requirement = Requirement("lambda:InvokeFunction", function, context)
        document = statements_for_service(self._apis.function_policy(function), "apigateway.amazonaws.com")
        return evaluate([document], requirement) is Decision.ALLOWED

    def _arn(self, api: HttpApi) -> str:
        return f"arn:aws:{SERVICE}:{self._region}:{self._account}:{api.api_id}/{DEFAULT_STAGE}"


def _read_body(environ: Mapping[str, Any]) -> bytes | None:
    """None for a body that is too large, which then stays unread."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()) or int(length) > BODY_BYTES:
        return None
    wanted = BODY_BYTES + 1 if environ.get("wsgi.input_terminated") else int(length)
    body = bytes(environ["wsgi.input"].read(wanted))
    return body if len(body) <= BODY_BYTES else None


def _received(environ: Mapping[str, Any], path: str, query: str, body: bytes) -> Received:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
    }
    return Received(
        request_id=uuid.uuid4().hex[:16],
        moment=datetime.now(UTC),
        method=str(environ["REQUEST_METHOD"]),
        path=path,
        query=query,
        protocol=str(environ.get("SERVER_PROTOCOL", "HTTP/1.1")),
        source_ip=str(environ.get("REMOTE_ADDR", "127.0.0.1")),
        headers=headers,
        body=body,
    )


def _send(
    environ: Mapping[str, Any], start_response: StartResponse, request: Received, response: Response, *, keep_open: bool
) -> Iterable[bytes]:
    headers = [(name, value) for name, value in response.headers.items()]
    headers += [("set-cookie", cookie) for cookie in response.cookies]
    headers += [("apigw-requestid", request.request_id), ("content-length", str(len(response.body)))]
    if not keep_open:
        # What the client still sends would be taken for its next request.
        headers.append(("connection", "close"))
    known = {status.value: status.phrase for status in HTTPStatus}
    start_response(f"{response.status} {known.get(response.status, 'Unknown')}", headers)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else response.body]
