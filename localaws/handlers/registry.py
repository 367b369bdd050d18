"""Which function deploys which resource type, and what is deliberately left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from localaws.context import Context
from localaws.functions.pool import LambdaPool


@dataclass(frozen=True, slots=True)
class Deployed:
    """A resource that exists now. `attributes` is what Fn::GetAtt gives."""

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotLocal:
    """Something of the template that a local run does not have, and why."""

    stack: str
    logical_id: str
    resource_type: str
    reason: str


class Site(Protocol):
    """What a handler works with."""

    context: Context
    functions: LambdaPool
    stack: str

    def client(self, service: str) -> Any:
        """A boto3 client that may do everything."""

    def name(self, logical_id: str, max_length: int) -> str:
        """A unique physical name of at most `max_length` characters."""

    def leave_out(self, logical_id: str, resource_type: str, reason: str) -> None:
        """Notes that something is not local."""


@dataclass(frozen=True, slots=True)
class Change:
    """A resource that exists, and its resolved properties before and after an update of its stack."""

    deployed: Deployed
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What Ref gives: the physical id."""
        return self.deployed.physical_id

    def touches(self, *properties: str) -> bool:
        """Whether one of the properties is another now."""
        return any(self.before.get(name) != self.after.get(name) for name in properties)


Handler = Callable[[Site, str, Mapping[str, Any]], Deployed]
Updater = Callable[[Site, str, Change], Deployed]
Remover = Callable[[Site, Deployed, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class ResourceType:
    """How to deploy one type.

    `applied` are the properties that have their effect, `harmless` those whose absence no local run notices;
    any other property of the template is listed as not local. `fixed` are those that AWS cannot change in place
    (createOnlyProperties of CloudFormation's schema): a change of one makes another resource.
    """

    deploy: Handler
    applied: frozenset[str]
    harmless: frozenset[str]
    fixed: frozenset[str]


RESOURCE_TYPES: Final[dict[str, ResourceType]] = {}
UPDATERS: Final[dict[str, Updater]] = {}
"""How a type is updated in place."""
REMOVERS: Final[dict[str, Remover]] = {}
"""How a type is deleted; nothing is to be done for a type that is not there."""


def handles(
    resource_type: str,
    *,
    applied: set[str],
    harmless: set[str] | None = None,
    fixed: set[str] | None = None,
    is_idempotent: bool = False,
) -> Callable[[Handler], Handler]:
    """Registers the decorated function for a resource type. One that is idempotent is how the type is updated, too."""

    def register(handler: Handler) -> Handler:
        ignored = frozenset(harmless or ()) | {"Tags"}
        RESOURCE_TYPES[resource_type] = ResourceType(handler, frozenset(applied), ignored, frozenset(fixed or ()))
        if is_idempotent:
            UPDATERS[resource_type] = lambda site, logical_id, change: handler(site, logical_id, change.after)
        return handler

    return register


def updates(resource_type: str) -> Callable[[Updater], Updater]:
    """Registers the decorated function for changes of a resource type in place."""

    def register(updater: Updater) -> Updater:
        UPDATERS[resource_type] = updater
        return updater

    return register


def removes(*resource_types: str) -> Callable[[Remover], Remover]:
    """Registers the decorated function for the end of these resource types."""

    def register(remover: Remover) -> Remover:
        REMOVERS.update(dict.fromkeys(resource_types, remover))
        return remover

    return register


NOT_LOCAL: Final[dict[str, str]] = {
    "AWS::EC2::": "there is no network to build: processes run on this machine",
    "AWS::IAM::InstanceProfile": "there are no EC2 instances",
    "AWS::IAM::ServiceLinkedRole": "AWS's own role, which moto has",
    "AWS::CloudWatch::Dashboard": "metrics are not collected",
    "AWS::Budgets::": "nothing costs anything",
    "AWS::Lambda::EventInvokeConfig": "asynchronous invocations are not retried",
    "AWS::Logs::MetricFilter": "metrics are not collected",
    "AWS::Logs::ResourcePolicy": "no service outside writes logs",
    "AWS::CDK::Metadata": "says which constructs were used, to AWS only",
    "AWS::KMS::Alias": "nothing is encrypted",
    "Custom::S3AutoDeleteObjects": "buckets end with the embedded AWS",
    "Custom::VpcRestrictDefaultSG": "there is no network to build",
    "Custom::LogRetention": "logs end with the embedded AWS",
    "Custom::S3BucketNotifications": "only what a bucket's own NotificationConfiguration sends to EventBridge is sent",
}
"""Types (or their beginnings, where they end in ::) that a local run does without, and why."""


def not_local_reason(resource_type: str) -> str | None:
    """Why a type is left out; None if it must be deployed."""
    for name, reason in NOT_LOCAL.items():
        if resource_type == name or (name.endswith("::") and resource_type.startswith(name)):
            return reason
    return None
