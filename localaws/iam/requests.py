"""Which operation an HTTP request to AWS is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

from botocore.model import ServiceModel
from moto.core.request import Request
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

_SCOPE = re.compile(r"Credential=([^/,\s]+)/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_CBOR_OPERATION = re.compile(r"/operation/(\w+)$")
_BOTO_NAMES = {"states": "stepfunctions", "monitoring": "cloudwatch"}


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


def read_operation(request: Request, body: bytes) -> Operation | None:
    """The operation of a signed request; None when it carries no signature of version 4."""
    authorization = request.headers.get("Authorization", "")
    scope = _SCOPE.search(authorization)
    if scope is None:
        return None
    access_key_id, _, service = scope.groups()
    model = _service_model(_BOTO_NAMES.get(service, service))
    name, parameters = _name_and_parameters(model, request, body)
    return Operation(
        service="cloudwatch" if service == "monitoring" else service,
        name=name,
        access_key_id=access_key_id,
        protocol=_protocol(model, request),
        parameters=parameters,
        headers={key.lower(): value for key, value in request.headers.items()},
    )


@lru_cache(maxsize=64)
def _service_model(name: str) -> ServiceModel:
    model: ServiceModel = get_service_model(name)
    return model


def _protocol(model: ServiceModel, request: Request) -> str:
    if "X-Amz-Target" in request.headers:
        return "json"
    if _CBOR_OPERATION.search(request.path):
        return "json"
    return str(model.metadata["protocol"])


def _name_and_parameters(model: ServiceModel, request: Request, body: bytes) -> tuple[str, dict[str, Any]]:
    target = request.headers.get("X-Amz-Target")
    if target is not None:
        return target.rsplit(".", 1)[-1], _json_object(body)
    cbor = _CBOR_OPERATION.search(request.path)
    if cbor is not None:
        return cbor[1], {}
    if model.metadata["protocol"] in ("query", "ec2"):
        form = {key: values[0] for key, values in parse_qs(body.decode()).items()}
        return form.get("Action", ""), form
    return _routed(model, request, body)


def _routed(model: ServiceModel, request: Request, body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        operation, in_path = get_service_router(model.service_name).match(request)
    except (HTTPException, NotImplementedError):
        return "", {}
    parameters: dict[str, Any] = dict(request.args)
    if model.metadata["protocol"] == "rest-json":
        parameters.update(_json_object(body))
    parameters.update(in_path)
    return operation.name, parameters


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
