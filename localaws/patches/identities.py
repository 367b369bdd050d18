"""Users, roles and sessions in moto's own IAM and STS, so that its `sts:GetCallerIdentity` and the gate agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from localaws.iam.credentials import Credentials, Principal

_SESSION_SECONDS: Final = 12 * 3600


class MotoIdentities:
    """What `localaws.iam.credentials.Identities` asks for, of one account."""

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self._region = region

    def create_user(self, name: str, policy: str) -> Credentials:
        """A key of a new user with this one policy."""
        self._iam.create_user(self._region, name)
        self._iam.put_user_policy(name, "Policy", policy)
        key = self._iam.create_access_key(user_name=name)
        return Credentials(key.access_key_id, key.secret_access_key)

    def assume_role(self, role_arn: str, session: str) -> Credentials:
        """A new session of the role."""
        role = self._sts.assume_role(
            region_name=self._region,
            role_session_name=session,
            role_arn=role_arn,
            policy=None,
            duration=_SESSION_SECONDS,
            external_id=None,
        )
        return Credentials(role.access_key_id, role.secret_access_key, role.session_token)

    def trust_policy(self, role: str) -> str | None:
        """Who may assume the role of this name; None if there is no such role."""
        documents = (one.assume_role_policy_document for one in self._iam.roles.values() if one.name == role)
        return next(documents, None)

    def find_principal(self, access_key_id: str) -> Principal | None:
        """Whose key this is; None for a key that was never issued."""
        role = self._sts.get_assumed_role_from_access_key(access_key_id)
        if role is not None:
            return Principal(arn=role.arn, session_token=role.session_token, role=role.role_arn.split("/")[-1])
        for user in self._iam.list_users("/", None, None):
            if any(key.access_key_id == access_key_id for key in user.access_keys):
                return Principal(arn=user.arn, session_token="", user=user.name)
        return None

    def secret_of(self, access_key_id: str) -> str | None:
        """The secret key that goes with an access key; None for a key that was never issued."""
        role = self._sts.get_assumed_role_from_access_key(access_key_id)
        if role is not None:
            return str(role.secret_access_key)
        keys = (key for user in self._iam.list_users("/", None, None) for key in user.access_keys)
        return next((str(key.secret_access_key) for key in keys if key.access_key_id == access_key_id), None)

    def policies(self, principal: Principal) -> Iterator[str]:
        """The inline and attached policies of a user or a role."""
        iam = self._iam
        if principal.user is not None:
            for name in iam.list_user_policies(principal.user):
                yield iam.get_user_policy(principal.user, name)["policy_document"]
            attached, _ = iam.list_attached_user_policies(principal.user)
        elif principal.role is not None:
            for name in iam.list_role_policies(principal.role):
                yield iam.get_role_policy(principal.role, name)[1]
            attached, _ = iam.list_attached_role_policies(principal.role)
        else:
            return
        for policy in attached:
            yield next(version.document for version in policy.versions if version.is_default)

    @property
    def _iam(self) -> Any:
        return iam_backends[self._account]["aws"]

    @property
    def _sts(self) -> Any:
        return sts_backends[self._account]["aws"]
