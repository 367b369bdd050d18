"""Patches of moto's server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import moto.backends as backends
from moto.moto_server import werkzeug_app


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
