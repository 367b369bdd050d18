"""Credentials of users and of roles' sessions, and whose each is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from localaws.errors import LocalCloudError

_OPERATOR = "operator"
_ALLOW_ALL = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key. `session_token` is empty for a user's key."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who an access key belongs to: exactly one of `user` and `role` is a name."""

    arn: str
    session_token: str
    user: str | None = None
    role: str | None = None


class Identities(Protocol):
    """The account's users, roles and sessions: IAM and STS themselves, so that their answers and ours agree."""

    def create_user(self, name: str, policy: str) -> Credentials:
        """A key of a new user with this one policy."""

    def assume_role(self, role_arn: str, session: str) -> Credentials:
        """A new session of the role."""

    def trust_policy(self, role: str) -> str | None:
        """Who may assume the role of this name; None if there is no such role."""

    def find_principal(self, access_key_id: str) -> Principal | None:
        """Whose key this is; None for a key that was never issued."""

    def secret_of(self, access_key_id: str) -> str | None:
        """The secret key that goes with an access key; None for a key that was never issued."""

    def policies(self, principal: Principal) -> Iterator[str]:
        """The inline and attached policies of a user or a role."""


class CredentialStore:
    """Issues access keys and knows whose each is."""

    def __init__(self, identities: Identities) -> None:
        self.identities = identities
        self._lock = threading.Lock()
        self._sessions: dict[tuple[str, str], Credentials] = {}
        self._principals: dict[str, Principal] = {}

    def create_operator(self) -> Credentials:
        """A key of a new IAM user that may do everything."""
        return self.identities.create_user(_OPERATOR, json.dumps(_ALLOW_ALL))

    def for_role(self, role_arn: str, session: str, service: str) -> Credentials:
        """Credentials of a session of the role, the same ones for the same `session`.

        `service` is the service principal that assumes it (lambda.amazonaws.com). Raises LocalCloudError when
        the role does not exist or does not trust that service.
        """
        with self._lock:
            known = self._sessions.get((role_arn, session))
            if known is not None:
                return known
            self._check_trust(role_arn, service)
            issued = self._sessions[role_arn, session] = self.identities.assume_role(role_arn, session)
            return issued

    def principal(self, access_key_id: str) -> Principal | None:
        """Whose key this is; None for a key that was never issued."""
        known = self._principals.get(access_key_id)
        if known is None:
            known = self.identities.find_principal(access_key_id)
            if known is not None:
                self._principals[access_key_id] = known
        return known

    def secrets(self) -> frozenset[str]:
        """The secret keys and session tokens of all roles' sessions so far: what no log may hold."""
        with self._lock:
            issued = list(self._sessions.values())
        return frozenset(text for each in issued for text in (each.secret_access_key, each.session_token) if text)

    def role_principal(self, role_arn: str) -> Principal:
        """The role itself as principal, for checks of what a service does on its behalf."""
        return Principal(arn=role_arn, session_token="", role=role_arn.rsplit("/", 1)[-1])

    def _check_trust(self, role_arn: str, service: str) -> None:
        policy = self.identities.trust_policy(role_arn.rsplit("/", 1)[-1])
        if policy is None:
            raise LocalCloudError(f"Role {role_arn} does not exist.", remedy="Deploy it in one of the stacks.")
        document = json.loads(policy)
        if not any(_trusts(statement, service) for statement in as_list(document.get("Statement", []))):
            raise LocalCloudError(
                f"Role {role_arn} cannot be assumed by {service}.",
                remedy="Let the role's trust policy name this service principal.",
            )


def _trusts(statement: dict[str, Any], service: str) -> bool:
    principal = statement.get("Principal", {})
    if statement.get("Effect") != "Allow" or "sts:AssumeRole" not in as_list(statement.get("Action", [])):
        return False
    return principal == "*" or service in as_list(principal.get("Service", []))


def as_list(value: Any) -> list[Any]:
    """A policy's element, which may be a single value, as a list."""
    return value if isinstance(value, list) else [value]
