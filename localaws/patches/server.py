"""moto's API as an application for a server, its models for the gate, and patches of both."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, cast

import moto.backends as backends
from botocore.model import ServiceModel
from moto.core.request import Request
from moto.core.routing import get_service_router
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


def no_cross_origin_requests() -> None:
    """A web page that the developer has open could otherwise read and write the embedded AWS."""
    werkzeug_app.DISABLE_GLOBAL_CORS = True


PATCHES: Final[dict[str, Callable[[], None]]] = {
    "server_module_list": cache_module_list,
    "server_cross_origin": no_cross_origin_requests,
}
