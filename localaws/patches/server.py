"""moto's API as an application for a server, its models for the gate, and patches of both."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, cast

import moto.backends as backends
from botocore.model import ServiceModel
from moto.core import responses
from moto.core.request import Request
from moto.core.routing import get_service_router
from moto.core.serialize import TimestampSerializer, XFormedAttributePicker
from moto.core.utils import get_service_model
from moto.moto_server import werkzeug_app
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.exceptions import HTTPException

from localaws.iam.gate import Application

_LOGGER: Final = logging.getLogger(__name__)


class MotoApis:
    """What `localaws.iam.requests.Apis` asks for."""

    def request(self, environ: dict[str, Any]) -> Request:
        """An HTTP request, its headers and path as they were sent."""
        return Request(environ)

    @staticmethod
    @lru_cache(maxsize=64)
    def model(service: str) -> ServiceModel:
        """The model of a service by botocore's name for it."""
        return cast(ServiceModel, get_service_model(service))

    def route(self, service: str, request: Any) -> tuple[str, dict[str, Any]] | None:
        """The operation's name and what its path holds."""
        try:
            operation, in_path = get_service_router(service).match(request)
        except (HTTPException, NotImplementedError):
            return None
        return operation.name, dict(in_path)


def moto_application() -> Application:
    """moto's API of every service."""
    return cast(Application, DomainDispatcherApplication(create_backend_app))


class QuietRequestHandler(MotoRequestHandler):  # type: ignore[misc]  # moto is not typed
    """Logs no request; what goes wrong inside moto still goes to our logger."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Logs nothing."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Hands werkzeug's messages to `logging`."""
        level = logging.ERROR if type == "error" else logging.DEBUG
        _LOGGER.log(level, message, *args)


def cache_module_list() -> None:
    """moto lists its package folder on every request."""
    modules = tuple(backends.list_of_moto_modules())

    def list_of_moto_modules() -> tuple[str, ...]:
        return modules

    backends.list_of_moto_modules = list_of_moto_modules


def serialize_quickly() -> None:
    """moto looks for each member of an answer under up to eight names, and parses each time with dateutil.

    A BatchGetItem of 100 rows took a third of a second, a page of 1,000 keys half a second.
    """
    find_keys, write_time = XFormedAttributePicker.get_possible_keys, TimestampSerializer._convert_timestamp_to_str
    known: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def get_possible_keys(picker: Any, context: Any) -> Iterable[str]:
        shape = context.shape
        if shape is None or hasattr(context.obj, "Meta"):
            return cast(Iterable[str], find_keys(picker, context))
        parent = getattr(shape, "parent", None)
        place = (parent.type_name, parent.name) if parent is not None else None
        providers = tuple(picker.alias_providers)
        service = context.service_model.service_name
        key = (service, context.key, shape.serialization.get("name"), place, providers)
        if key not in known:
            known[key] = tuple(dict.fromkeys(find_keys(picker, context)))
        return known[key]

    def convert_timestamp(serializer: Any, value: Any, timestamp_format: str) -> Any:
        if isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                return write_time(serializer, value, timestamp_format)
            value = moment if moment.tzinfo else value
        return write_time(serializer, value, timestamp_format)

    XFormedAttributePicker.get_possible_keys = get_possible_keys
    TimestampSerializer._convert_timestamp_to_str = convert_timestamp


def name_methods_once() -> None:
    """moto looks through a class of answers with `inspect` on every request."""
    responses.method_names_from_class = lru_cache(maxsize=None)(responses.method_names_from_class)


def no_cross_origin_requests() -> None:
    """A web page that the developer has open could otherwise read and write the embedded AWS."""
    werkzeug_app.DISABLE_GLOBAL_CORS = True


PATCHES: Final[dict[str, Callable[[], None]]] = {
    "server_module_list": cache_module_list,
    "server_serializer": serialize_quickly,
    "server_method_names": name_methods_once,
    "server_cross_origin": no_cross_origin_requests,
}
