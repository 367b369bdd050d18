"""Deploys one stack: assets first, then each resource after the ones it refers to; new, or over what exists of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from localaws import handlers  # noqa: F401  registers the resource types
from localaws.cloudformation.assembly import FileAsset, Stack
from localaws.cloudformation.intrinsics import Environment, Resolver
from localaws.context import Context
from localaws.errors import LocalCloudError, TemplateError, UnsupportedResourceError
from localaws.functions.pool import LambdaPool
from localaws.handlers.registry import (
    REMOVERS,
    RESOURCE_TYPES,
    UPDATERS,
    Change,
    Deployed,
    NotLocal,
    ResourceType,
    not_local_reason,
)
from localaws.iam.credentials import as_list


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that exists: its type, resolved properties, and what becomes of it when its stack ends."""

    kind: str
    properties: Mapping[str, Any]
    deployed: Deployed
    deletion_policy: str

    @property
    def is_retained(self) -> bool:
        """Whether it outlives its stack."""
        return self.deletion_policy.startswith("Retain")


class StackDeployment:
    """One stack on its way, new or over what is `existing` of it. It is what handlers see as their Site."""

    def __init__(
        self,
        context: Context,
        functions: LambdaPool,
        client: Callable[[str], Any],
        stack: Stack,
        existing: Mapping[str, Resource],
        exports: Mapping[str, Any],
        outputs: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.context = context
        self.functions = functions
        self.stack = stack.name
        self.not_local: list[NotLocal] = []
        self._client = client
        self._files: list[FileAsset] = stack.files
        self._templates: dict[str, Any] = stack.template.get("Resources", {})
        self._existing = existing
        self._left_out: set[str] = set()
        self.resources: dict[str, Resource] = {}
        """What exists now, by logical id, in the order in which it was made."""
        self._in_progress: list[str] = []
        self.resolver = Resolver(
            stack.template,
            Environment(context.account, context.region, stack.name),
            physical_id=lambda logical_id: self._make(logical_id).physical_id,
            attribute=self._attribute,
            exports=exports,
            outputs=outputs,
        )

    def client(self, service: str) -> Any:
        """A boto3 client that may do everything."""
        return self._client(service)

    def name(self, logical_id: str, max_length: int) -> str:
        """A unique physical name: stack and logical id, shortened to `max_length` and kept apart by a hash."""
        full = f"{self.stack}-{logical_id}"
        digest = hashlib.sha256(full.encode()).hexdigest()[:8]
        return f"{full[: max_length - 9]}-{digest}"

    def leave_out(self, logical_id: str, resource_type: str, reason: str) -> None:
        """Notes that something is not local."""
        self.not_local.append(NotLocal(self.stack, logical_id, resource_type, reason))

    def is_left_out(self, logical_id: str) -> bool:
        """Whether a local run does without the resource."""
        return logical_id in self._left_out

    def included(self, element: Mapping[str, Any]) -> bool:
        """Whether the condition of a resource or an output holds."""
        return "Condition" not in element or self.resolver.holds(element["Condition"])

    def upload_assets(self) -> None:
        """Puts the file assets where CDK would: into the staging bucket."""
        s3, region = self.client("s3"), self.context.region
        for asset in self._files:
            bucket = self.resolver.resolve({"Fn::Sub": asset.bucket})
            location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            try:
                s3.head_bucket(Bucket=bucket)
            except ClientError:
                s3.create_bucket(Bucket=bucket, **location)
            s3.put_object(Bucket=bucket, Key=asset.key, Body=asset.content())

    def make_all(self) -> None:
        """Creates or updates every resource whose condition holds."""
        for logical_id, resource in self._templates.items():
            if self.included(resource):
                self._make(logical_id)

    def remove(self, logical_id: str, resource: Resource) -> None:
        """Deletes a resource, unless its DeletionPolicy retains it. Raises TemplateError when AWS refuses."""
        remover = REMOVERS.get(resource.kind)
        if remover is None or resource.is_retained:
            return
        try:
            remover(self, resource.deployed, resource.properties)
        except ClientError as error:
            raise TemplateError(
                f"{resource.kind} {logical_id} of stack {self.stack} could not be deleted: {error}",
                remedy="Remove what protects it, and delete again.",
            ) from error

    def _attribute(self, logical_id: str, attribute: str) -> Any:
        deployed = self._make(logical_id)
        if logical_id in self._left_out:
            return f"not-local-{logical_id}-{attribute}"
        if attribute not in deployed.attributes:
            kind = self._templates[logical_id]["Type"]
            raise TemplateError(
                f"{kind} {logical_id} of stack {self.stack} has no attribute {attribute} here.",
                remedy="Add it to the type's handler in localaws/handlers.",
            )
        return deployed.attributes[attribute]

    def _make(self, logical_id: str) -> Deployed:
        known = self.resources.get(logical_id)
        if known is not None:
            return known.deployed
        if logical_id not in self._templates:
            raise TemplateError(
                f"Stack {self.stack} refers to {logical_id}, which it does not define.",
                remedy="Synthesize the CDK app again.",
            )
        if logical_id in self._in_progress:
            path = " -> ".join([*self._in_progress, logical_id])
            raise TemplateError(
                f"Resources of stack {self.stack} refer to each other in a circle: {path}.",
                remedy="Break the circle in the CDK app, for example with a separate policy.",
            )
        self._in_progress.append(logical_id)
        try:
            made = self._deploy(logical_id, self._templates[logical_id])
        finally:
            self._in_progress.pop()
        self.resources[logical_id] = made
        return made.deployed

    def _deploy(self, logical_id: str, template: Mapping[str, Any]) -> Resource:
        kind = template["Type"]
        policy = str(template.get("DeletionPolicy", "Delete"))
        reason = not_local_reason(kind)
        if reason is not None:
            self.leave_out(logical_id, kind, reason)
            self._left_out.add(logical_id)
            return Resource(kind, {}, Deployed(f"not-local-{logical_id}"), policy)
        resource_type = RESOURCE_TYPES.get(kind)
        if resource_type is None:
            raise UnsupportedResourceError(
                f"Resource {logical_id} of stack {self.stack} has type {kind}, which the embedded AWS does not know.",
                remedy="Add a handler in localaws/handlers, or a reason to NOT_LOCAL in its registry.",
            )
        for dependency in as_list(template.get("DependsOn", [])):
            self._make(dependency)
        properties = self.resolver.resolve(template.get("Properties", {}))
        for name in sorted(set(properties) - resource_type.applied - resource_type.harmless):
            self.leave_out(logical_id, kind, f"its property {name} has no effect locally")
        try:
            deployed = self._create_or_update(logical_id, kind, resource_type, properties)
        except LocalCloudError:
            raise
        except Exception as error:
            raise TemplateError(
                f"{kind} {logical_id} of stack {self.stack} could not be created: {error}",
                remedy="Correct it in the CDK app; if AWS takes it, correct its handler in localaws/handlers.",
            ) from error
        return Resource(kind, properties, deployed, policy)

    def _create_or_update(
        self, logical_id: str, kind: str, resource_type: ResourceType, properties: Mapping[str, Any]
    ) -> Deployed:
        before = self._existing.get(logical_id)
        if before is None or before.kind != kind:
            return resource_type.deploy(self, logical_id, properties)
        change = Change(before.deployed, before.properties, properties)
        if not change.touches(*resource_type.applied):
            return before.deployed
        fixed = sorted(name for name in resource_type.fixed if change.touches(name))
        updater = UPDATERS.get(kind)
        if fixed or updater is None:
            raise TemplateError(
                f"{kind} {logical_id} of stack {self.stack} cannot be changed in place"
                f"{f' ({fixed[0]} is another)' if fixed else ''}, and the embedded AWS replaces nothing.",
                remedy="Start a new embedded AWS with this assembly.",
            )
        return updater(self, logical_id, change)
