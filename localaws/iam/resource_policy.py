"""Resource policies, as far as a service of AWS needs one: which statements are about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localaws.iam.credentials import as_list


def statements_for_service(document: Mapping[str, Any], service: str) -> dict[str, Any]:
    """The statements of a resource policy whose principal is `service` (events.amazonaws.com) or everybody."""
    statements = as_list(document.get("Statement", []))
    return {"Statement": [one for one in statements if _is_about(one.get("Principal", {}), service)]}


def _is_about(principal: Any, service: str) -> bool:
    if isinstance(principal, str):
        return principal == "*"
    return service in as_list(principal.get("Service", [])) or "*" in as_list(principal.get("AWS", []))
