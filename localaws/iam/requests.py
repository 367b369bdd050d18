"""Which operation an HTTP request to AWS is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs

from botocore.model import ServiceModel
from werkzeug.wrappers import Request

_SCOPE = re.compile(r"Credential=([^/,\s]+)/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_CBOR_OPERATION = re.compile(r"/operation/(\w+)$")
_BOTO_NAMES = {"states": "stepfunctions", "monitoring": "cloudwatch", "servicequotas": "service-quotas"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One AWS API call.

    `service` is the IAM prefix (states, s3, lambda). `parameters` are the request's members as the API names
    them: the JSON body, or the members that are in the path and the query.
    """

    service: str
    name: str
    access_key_id: str
    protocol: str
    parameters: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class Apis(Protocol):
    """The models of AWS's APIs."""

    def request(self, environ: dict[str, Any]) -> Request:
        """An HTTP request, its headers and path as they were sent."""

    def model(self, service: str) -> ServiceModel:
        """The model of a service by botocore's name for it."""

    def route(self, service: str, request: Request) -> tuple[str, dict[str, Any]] | None:
        """The operation's name and what its path holds, for APIs that tell operations by paths."""


def read_operation(apis: Apis, environ: dict[str, Any], body: bytes) -> Operation | None:
    """The operation of a signed request; None when it carries no signature of version 4."""
    request = apis.request(environ)
    authorization = request.headers.get("Authorization", "")
    scope = _SCOPE.search(authorization)
    if scope is None:
        return None
    access_key_id, _, service = scope.groups()
    boto_name = _BOTO_NAMES.get(service, service)
    model = apis.model(boto_name)
    name, parameters = _name_and_parameters(model, request, body) or _routed(apis, boto_name, request, body)
    return Operation(
        service="cloudwatch" if service == "monitoring" else service,
        name=name,
        access_key_id=access_key_id,
        protocol=_protocol(model, request),
        parameters=parameters,
        headers={key.lower(): value for key, value in request.headers.items()},
    )


def _protocol(model: ServiceModel, request: Request) -> str:
    if "X-Amz-Target" in request.headers:
        return "json"
    if _CBOR_OPERATION.search(request.path):
        return "json"
    return str(model.metadata["protocol"])


def _name_and_parameters(model: ServiceModel, request: Request, body: bytes) -> tuple[str, dict[str, Any]] | None:
    """By header or form; None for an API that tells operations by paths."""
    target = request.headers.get("X-Amz-Target")
    if target is not None:
        return target.rsplit(".", 1)[-1], _json_object(body)
    cbor = _CBOR_OPERATION.search(request.path)
    if cbor is not None:
        return cbor[1], {}
    if model.metadata["protocol"] in ("query", "ec2"):
        form = {key: values[0] for key, values in parse_qs(body.decode()).items()}
        return form.get("Action", ""), form
    return None


def _routed(apis: Apis, service: str, request: Request, body: bytes) -> tuple[str, dict[str, Any]]:
    found = apis.route(service, request)
    if found is None:
        return "", {}
    operation, in_path = found
    parameters: dict[str, Any] = dict(request.args)
    if apis.model(service).metadata["protocol"] == "rest-json":
        parameters.update(_json_object(body))
    parameters.update(in_path)
    return operation, parameters


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
