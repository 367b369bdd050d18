"""Which route of an API a request takes.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from localaws.http_api.model import Route

_DEFAULT = "$default"


def find_route(routes: Iterable[Route], method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route for `path`, as it was sent, and its path's variables; None where there is none.

    A full match comes before one with variables, the method itself before ANY, and $default is last. Greedy
    variables ({proxy+}) match nothing here: their handler refuses them.
    """
    best: tuple[tuple[int, bool], Route, dict[str, str]] | None = None
    for route in routes:
        if route.method not in (method, "ANY"):
            continue
        variables = _match(route.path, path)
        if variables is None:
            continue
        rank = (len(variables), route.method == "ANY")
        if best is None or rank < best[0]:
            best = rank, route, variables
    if best is not None:
        return best[1], best[2]
    return next(((route, {}) for route in routes if route.key == _DEFAULT), None)


def _match(template: str, path: str) -> dict[str, str] | None:
    wanted, given = template.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    variables = {}
    for pattern, segment in zip(wanted, given, strict=True):
        if pattern.startswith("{") and segment:
            variables[pattern.strip("{}")] = unquote(segment)
        elif pattern != segment:
            return None
    return variables
