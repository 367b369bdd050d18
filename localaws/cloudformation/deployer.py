"""Deploys the stacks of a cloud assembly: assets first, then each resource after the ones it refers to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from localaws import handlers  # noqa: F401  registers the resource types
from localaws.batch.job import BatchHost
from localaws.cloudformation.assembly import FileAsset, Stack
from localaws.cloudformation.intrinsics import Environment, Resolver
from localaws.context import Context
from localaws.errors import LocalCloudError, TemplateError, UnsupportedResourceError
from localaws.functions.pool import LambdaPool
from localaws.handlers.registry import RESOURCE_TYPES, Deployed, NotLocal, not_local_reason
from localaws.iam.credentials import as_list


class Deployer:
    """Deploys stacks one after the other. `client(service)` gives a boto3 client that may do everything."""

    def __init__(self, context: Context, batch: BatchHost, functions: LambdaPool, client: Callable[[str], Any]) -> None:
        self.outputs: dict[str, dict[str, str]] = {}
        self.not_local: list[NotLocal] = []
        self.physical_ids: dict[tuple[str, str], str] = {}
        self._context = context
        self._batch = batch
        self._functions = functions
        self._client = client
        self._exports: dict[str, Any] = {}

    def deploy(self, stack: Stack) -> None:
        """Creates every resource of `stack` and records its outputs.

        Raises TemplateError (or UnsupportedResourceError) for what cannot be deployed, with type and logical id.
        """
        deployment = _StackDeployment(self._context, self._functions, self._client, stack, self._exports, self.outputs)
        for image in stack.images:
            self._batch.images[image.tag] = image
        deployment.upload_assets()
        deployment.create_all()
        self.not_local.extend(deployment.not_local)
        for logical_id, physical_id in deployment.physical_ids().items():
            self.physical_ids[stack.name, logical_id] = physical_id
        self.outputs[stack.name] = {}
        for name, output in stack.template.get("Outputs", {}).items():
            if deployment.included(output):
                value = deployment.resolver.resolve(output["Value"])
                self.outputs[stack.name][name] = str(value)
                if "Export" in output:
                    self._exports[deployment.resolver.resolve(output["Export"]["Name"])] = value
        _record_stack(self._client("cloudformation"), stack.name, self.outputs[stack.name])


class _StackDeployment:
    """One stack on its way. It is what handlers see as their Site."""

    def __init__(
        self,
        context: Context,
        functions: LambdaPool,
        client: Callable[[str], Any],
        stack: Stack,
        exports: Mapping[str, Any],
        outputs: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.context = context
        self.functions = functions
        self.stack = stack.name
        self.not_local: list[NotLocal] = []
        self._client = client
        self._files: list[FileAsset] = stack.files
        self._template = stack.template
        self._resources: dict[str, Any] = stack.template.get("Resources", {})
        self._deployed: dict[str, Deployed] = {}
        self._left_out: set[str] = set()
        self._in_progress: list[str] = []
        self.resolver = Resolver(
            stack.template,
            Environment(context.account, context.region, stack.name),
            physical_id=lambda logical_id: self._create(logical_id).physical_id,
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

    def physical_ids(self) -> dict[str, str]:
        """Physical ids of what exists, by logical id."""
        return {name: one.physical_id for name, one in self._deployed.items() if name not in self._left_out}

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

    def create_all(self) -> None:
        """Creates every resource whose condition holds."""
        for logical_id, resource in self._resources.items():
            if self.included(resource):
                self._create(logical_id)

    def _attribute(self, logical_id: str, attribute: str) -> Any:
        deployed = self._create(logical_id)
        if logical_id in self._left_out:
            return f"not-local-{logical_id}-{attribute}"
        if attribute not in deployed.attributes:
            kind = self._resources[logical_id]["Type"]
            raise TemplateError(
                f"{kind} {logical_id} of stack {self.stack} has no attribute {attribute} here.",
                remedy="Add it to the type's handler in localaws/handlers.",
            )
        return deployed.attributes[attribute]

    def _create(self, logical_id: str) -> Deployed:
        known = self._deployed.get(logical_id)
        if known is not None:
            return known
        if logical_id not in self._resources:
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
            deployed = self._deploy(logical_id, self._resources[logical_id])
        finally:
            self._in_progress.pop()
        self._deployed[logical_id] = deployed
        return deployed

    def _deploy(self, logical_id: str, resource: Mapping[str, Any]) -> Deployed:
        kind = resource["Type"]
        reason = not_local_reason(kind)
        if reason is not None:
            self.leave_out(logical_id, kind, reason)
            self._left_out.add(logical_id)
            return Deployed(f"not-local-{logical_id}")
        resource_type = RESOURCE_TYPES.get(kind)
        if resource_type is None:
            raise UnsupportedResourceError(
                f"Resource {logical_id} of stack {self.stack} has type {kind}, which the embedded AWS does not know.",
                remedy="Add a handler in localaws/handlers, or a reason to NOT_LOCAL in its registry.",
            )
        for dependency in as_list(resource.get("DependsOn", [])):
            self._create(dependency)
        properties = self.resolver.resolve(resource.get("Properties", {}))
        for name in sorted(set(properties) - resource_type.applied - resource_type.harmless):
            self.leave_out(logical_id, kind, f"its property {name} has no effect locally")
        try:
            return resource_type.deploy(self, logical_id, properties)
        except LocalCloudError:
            raise
        except Exception as error:
            raise TemplateError(
                f"{kind} {logical_id} of stack {self.stack} could not be created: {error}",
                remedy="Correct it in the CDK app; if AWS takes it, correct its handler in localaws/handlers.",
            ) from error


def _record_stack(client: Any, name: str, outputs: Mapping[str, str]) -> None:
    """Makes DescribeStacks answer with `outputs`, so that clients find what was deployed."""
    template = {"Resources": {}, "Outputs": {key: {"Value": value} for key, value in outputs.items()}}
    try:
        client.create_stack(StackName=name, TemplateBody=json.dumps(template))
    except client.exceptions.AlreadyExistsException:
        client.update_stack(StackName=name, TemplateBody=json.dumps(template))
