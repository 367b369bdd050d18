"""Credentials out of moto's own IAM and STS, so that its `sts:GetCallerIdentity` and ours agree."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any

from moto.iam.models import IAMBackend, iam_backends
from moto.sts.models import sts_backends

from localaws.errors import LocalCloudError

_SESSION_SECONDS = 12 * 3600
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


class CredentialStore:
    """Issues access keys and knows whose each is."""

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self._region = region
        self._lock = threading.Lock()
        self._sessions: dict[tuple[str, str], Credentials] = {}
        self._principals: dict[str, Principal] = {}

    @property
    def iam(self) -> IAMBackend:
        """moto's IAM of this account."""
        return iam_backends[self._account]["aws"]

    def create_operator(self) -> Credentials:
        """A key of a new IAM user that may do everything."""
        self.iam.create_user(self._region, _OPERATOR)
        self.iam.put_user_policy(_OPERATOR, "AllowAll", json.dumps(_ALLOW_ALL))
        key = self.iam.create_access_key(user_name=_OPERATOR)
        return Credentials(key.access_key_id, key.secret_access_key)

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
            role = sts_backends[self._account]["aws"].assume_role(
                region_name=self._region,
                role_session_name=session,
                role_arn=role_arn,
                policy=None,
                duration=_SESSION_SECONDS,
                external_id=None,
            )
            issued = Credentials(role.access_key_id, role.secret_access_key, role.session_token)
            self._sessions[role_arn, session] = issued
            return issued

    def principal(self, access_key_id: str) -> Principal | None:
        """Whose key this is; None for a key that was never issued."""
        known = self._principals.get(access_key_id)
        if known is None:
            known = self._find_session(access_key_id) or self._find_user(access_key_id)
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

    def _find_session(self, access_key_id: str) -> Principal | None:
        role = sts_backends[self._account]["aws"].get_assumed_role_from_access_key(access_key_id)
        if role is None:
            return None
        return Principal(arn=role.arn, session_token=role.session_token, role=role.role_arn.split("/")[-1])

    def _find_user(self, access_key_id: str) -> Principal | None:
        for user in self.iam.list_users("/", None, None):
            if any(key.access_key_id == access_key_id for key in user.access_keys):
                return Principal(arn=user.arn, session_token="", user=user.name)
        return None

    def _check_trust(self, role_arn: str, service: str) -> None:
        name = role_arn.rsplit("/", 1)[-1]
        role = next((role for role in self.iam.roles.values() if role.name == name), None)
        if role is None:
            raise LocalCloudError(f"Role {role_arn} does not exist.", remedy="Deploy it in one of the stacks.")
        document = json.loads(role.assume_role_policy_document)
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
