"""The stacks of an embedded AWS: deployed, updated, deleted, and told of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from localaws.batch.job import BatchHost
from localaws.cloudformation.assembly import Stack
from localaws.cloudformation.deployment import Resource, StackDeployment
from localaws.context import Context
from localaws.errors import TemplateError
from localaws.functions.pool import LambdaPool
from localaws.handlers.registry import NotLocal


@dataclass(slots=True)
class StackRecord:
    """A stack that was deployed."""

    stack: Stack
    created: datetime
    status: str = "CREATE_COMPLETE"
    reason: str = ""
    is_protected: bool = False
    outputs: dict[str, str] = field(default_factory=dict)
    exports: dict[str, str] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name."""
        return self.stack.name


class Deployer:
    """Deploys stacks one after the other. `client(service)` gives a boto3 client that may do everything.

    `stacks` holds those that exist, by name; `not_local` what of them is left out.
    """

    def __init__(self, context: Context, batch: BatchHost, functions: LambdaPool, client: Callable[[str], Any]) -> None:
        self.stacks: dict[str, StackRecord] = {}
        self.not_local: list[NotLocal] = []
        self._context = context
        self._batch = batch
        self._functions = functions
        self._client = client
        self._lock = threading.Lock()

    @property
    def outputs(self) -> dict[str, dict[str, str]]:
        """The stacks' outputs, by stack name and the output's logical id."""
        return {name: dict(record.outputs) for name, record in self.stacks.items()}

    @property
    def physical_ids(self) -> dict[tuple[str, str], str]:
        """Physical ids of what exists, by stack name and logical id."""
        return {
            (name, logical_id): resource.deployed.physical_id
            for name, record in self.stacks.items()
            for logical_id, resource in record.resources.items()
        }

    def deploy(self, stack: Stack) -> None:
        """Creates every resource of `stack`, or changes those that exist, and records its outputs.

        What the template no longer has is deleted at the end. Raises TemplateError (or UnsupportedResourceError) for
        what cannot be deployed, with type and logical id; nothing is rolled back then.
        """
        with self._lock:
            record = self.stacks.get(stack.name)
            existing = dict(record.resources) if record else {}
            deployment = self._deployment(stack, existing)
            for image in stack.images:
                self._batch.images[image.tag] = image
            deployment.upload_assets()
            deployment.make_all()
            for logical_id, resource in existing.items():
                if logical_id not in deployment.resources:
                    deployment.remove(logical_id, resource)
            self._record(stack, record, deployment)

    def delete(self, name: str) -> None:
        """Deletes a stack and what it does not retain, the newest first; one that refuses makes it DELETE_FAILED.

        Raises TemplateError when the stack is protected, KeyError when there is none of that name.
        """
        with self._lock:
            record = self.stacks[name]
            if record.is_protected:
                raise TemplateError(
                    f"Stack [{name}] cannot be deleted while TerminationProtection is enabled",
                    remedy="Disable it with UpdateTerminationProtection.",
                )
            deployment = self._deployment(record.stack, record.resources)
            failed = []
            for logical_id, resource in reversed(list(record.resources.items())):
                try:
                    deployment.remove(logical_id, resource)
                except TemplateError as error:
                    failed.append(logical_id)
                    record.reason = error.message
                else:
                    del record.resources[logical_id]
            if failed:
                record.status = "DELETE_FAILED"
            else:
                del self.stacks[name]

    def _deployment(self, stack: Stack, existing: Mapping[str, Resource]) -> StackDeployment:
        exports = {name: value for record in self.stacks.values() for name, value in record.exports.items()}
        return StackDeployment(self._context, self._functions, self._client, stack, existing, exports, self.outputs)

    def _record(self, stack: Stack, record: StackRecord | None, deployment: StackDeployment) -> None:
        made = StackRecord(stack, record.created if record else datetime.now(UTC))
        made.status = "UPDATE_COMPLETE" if record else "CREATE_COMPLETE"
        made.is_protected = stack.is_protected
        made.resources = {
            logical_id: resource
            for logical_id, resource in deployment.resources.items()
            if not deployment.is_left_out(logical_id)
        }
        for name, output in stack.template.get("Outputs", {}).items():
            if deployment.included(output):
                value = made.outputs[name] = str(deployment.resolver.resolve(output["Value"]))
                if "Export" in output:
                    made.exports[deployment.resolver.resolve(output["Export"]["Name"])] = value
        self.stacks[stack.name] = made
        # What was said of the stack before is said again, if it still holds.
        self.not_local = [one for one in self.not_local if one.stack != stack.name] + deployment.not_local
