"""Decides whether a principal may make a call, from its policies in IAM."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localaws.iam.credentials import CredentialStore, Principal
from localaws.iam.policy import Decision, Requirement, evaluate


@dataclass(frozen=True, slots=True)
class Denial:
    """A call that the caller's policies do not allow.

    `principal` is the ARN of the user or of the assumed role's session.
    """

    principal: str
    action: str
    resource: str


class AccessDenied(Exception):  # noqa: N818  AWS's own name for it
    """The principal's policies do not allow the call. `str()` is AWS's message."""


class Authorizer:
    """Checks calls while `enforcing`; everything is allowed while it is not.

    `denials` holds every refusal, oldest first.
    """

    def __init__(self, credentials: CredentialStore, account: str, region: str) -> None:
        self.enforcing = False
        self.denials: list[Denial] = []
        self._credentials = credentials
        self._region = region
        self._account = account
        self._lock = threading.Lock()
        self._parsed: dict[str, dict[str, Any]] = {}

    def check(self, principal: Principal, requirement: Requirement) -> None:
        """Raises AccessDenied, and notes the refusal, when `principal` may not do what is required."""
        if not self.enforcing:
            return
        decision = self._decide(principal, requirement)
        if decision is Decision.ALLOWED:
            return
        with self._lock:
            self.denials.append(Denial(principal.arn, requirement.action, requirement.resource))
        raise AccessDenied(_message(principal, requirement, decision))

    def allows(self, principal: Principal, requirement: Requirement) -> bool:
        """Whether the call is allowed, without noting a refusal."""
        return not self.enforcing or self._decide(principal, requirement) is Decision.ALLOWED

    def require(self, role_arn: str, action: str, resource: str) -> None:
        """Checks what an AWS service would do with the role where moto makes no call for it.

        Raises AccessDenied, and notes the refusal.
        """
        self.check(self._credentials.role_principal(role_arn), Requirement(action, resource, {}))

    def role_may(self, role_arn: str, action: str, resource: str) -> bool:
        """Like `require`, as an answer: a refusal is noted, and gives False."""
        try:
            self.require(role_arn, action, resource)
        except AccessDenied:
            return False
        return True

    def _decide(self, principal: Principal, requirement: Requirement) -> Decision:
        context: Mapping[str, str] = {
            "aws:requestedregion": self._region,
            "aws:securetransport": "false",
            "aws:principalarn": principal.arn,
            "aws:principalaccount": self._account,
            "aws:sourceaccount": self._account,
            **requirement.context,
        }
        full = Requirement(requirement.action, requirement.resource, context)
        return evaluate(map(self._parse, self._credentials.identities.policies(principal)), full)

    def _parse(self, document: str) -> dict[str, Any]:
        parsed = self._parsed.get(document)
        if parsed is None:
            parsed = self._parsed[document] = json.loads(document)
        return parsed


def _message(principal: Principal, requirement: Requirement, decision: Decision) -> str:
    if decision is Decision.DENIED:
        reason = "with an explicit deny in an identity-based policy"
    else:
        reason = f"because no identity-based policy allows the {requirement.action} action"
    return (
        f"User: {principal.arn} is not authorized to perform: {requirement.action} "
        f"on resource: {requirement.resource} {reason}"
    )
