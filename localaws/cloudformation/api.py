"""CloudFormation's API of the stacks that were deployed: what clients ask to find them, and to delete them.

In place of moto's, which would deploy a template by itself. https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs

from localaws.cloudformation.deployer import Deployer, StackRecord
from localaws.errors import TemplateError

_NAMESPACE: Final = "http://cloudformation.amazonaws.com/doc/2010-05-15/"


class CloudFormationApi:
    """A WSGI application for requests of CloudFormation's query protocol."""

    def __init__(self, deployer: Deployer, account: str, region: str) -> None:
        self._deployer = deployer
        self._account = account
        self._region = region
        self._actions: dict[str, Callable[[Mapping[str, str]], Any]] = {
            "DescribeStacks": self._describe_stacks,
            "ListStacks": self._list_stacks,
            "ListStackResources": self._list_stack_resources,
            "DescribeStackResources": self._describe_stack_resources,
            "GetTemplate": self._get_template,
            "UpdateTerminationProtection": self._update_termination_protection,
            "DeleteStack": self._delete_stack,
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers one request."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
        action = form.get("Action", "")
        try:
            result = self._actions.get(action, _no_such_action)(form)
        except _RefusedError as refused:
            content = (
                f"<Error><Type>Sender</Type><Code>{refused.code}</Code>"
                f"<Message>{html.escape(str(refused), quote=False)}</Message></Error>"
            )
            return _answer(start_response, "400 Bad Request", "ErrorResponse", content)
        content = f"<{action}Result>{_xml(result)}</{action}Result>"
        return _answer(start_response, "200 OK", f"{action}Response", content)

    def _describe_stacks(self, form: Mapping[str, str]) -> Any:
        name = form.get("StackName")
        records = [self._find(name)] if name else list(self._deployer.stacks.values())
        return {"Stacks": [self._stack(record) for record in records]}

    def _list_stacks(self, form: Mapping[str, str]) -> Any:  # noqa: ARG002
        names = ("StackId", "StackName", "CreationTime", "StackStatus")
        stacks = [self._stack(record) for record in self._deployer.stacks.values()]
        return {"StackSummaries": [{name: one[name] for name in names} for one in stacks]}

    def _list_stack_resources(self, form: Mapping[str, str]) -> Any:
        return {"StackResourceSummaries": self._resources(form, "LastUpdatedTimestamp")}

    def _describe_stack_resources(self, form: Mapping[str, str]) -> Any:
        return {"StackResources": self._resources(form, "Timestamp")}

    def _get_template(self, form: Mapping[str, str]) -> Any:
        return {"TemplateBody": json.dumps(self._find(form.get("StackName", "")).stack.template)}

    def _update_termination_protection(self, form: Mapping[str, str]) -> Any:
        record = self._find(form.get("StackName", ""))
        record.is_protected = form.get("EnableTerminationProtection") == "true"
        return {"StackId": self._id(record)}

    def _delete_stack(self, form: Mapping[str, str]) -> Any:
        """Of a stack that is not there it deletes nothing, as on AWS."""
        name = _name_of(form.get("StackName", ""))
        if name in self._deployer.stacks:
            try:
                self._deployer.delete(name)
            except TemplateError as error:
                raise _RefusedError("ValidationError", error.message) from error
        return {}

    def _find(self, name: str) -> StackRecord:
        record = self._deployer.stacks.get(_name_of(name))
        if record is None:
            raise _RefusedError("ValidationError", f"Stack with id {name} does not exist")
        return record

    def _id(self, record: StackRecord) -> str:
        return f"arn:aws:cloudformation:{self._region}:{self._account}:stack/{record.name}/local"

    def _stack(self, record: StackRecord) -> dict[str, Any]:
        return {
            "StackId": self._id(record),
            "StackName": record.name,
            "CreationTime": record.created,
            "StackStatus": record.status,
            "StackStatusReason": record.reason,
            "EnableTerminationProtection": record.is_protected,
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in record.outputs.items()],
        }

    def _resources(self, form: Mapping[str, str], timestamp: str) -> list[dict[str, Any]]:
        record = self._find(form.get("StackName", ""))
        return [
            {
                "LogicalResourceId": logical_id,
                "PhysicalResourceId": resource.deployed.physical_id,
                "ResourceType": resource.kind,
                "ResourceStatus": "CREATE_COMPLETE",
                timestamp: record.created,
            }
            for logical_id, resource in record.resources.items()
        ]


class _RefusedError(Exception):
    """An error of the API."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _no_such_action(form: Mapping[str, str]) -> Any:
    raise _RefusedError("InvalidAction", f"The embedded AWS does not know CloudFormation's {form.get('Action')!r}.")


def _name_of(name_or_id: str) -> str:
    return name_or_id.split("/")[1] if name_or_id.startswith("arn:") else name_or_id


def _xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_xml(item)}</{name}>" for name, item in value.items() if item not in ("", None))
    if isinstance(value, list):
        return "".join(f"<member>{_xml(item)}</member>" for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return html.escape(str(value), quote=False)


def _answer(start_response: Callable[..., Any], status: str, name: str, content: str) -> Iterable[bytes]:
    metadata = "<ResponseMetadata><RequestId>local</RequestId></ResponseMetadata>"
    body = f'<{name} xmlns="{_NAMESPACE}">{content}{metadata}</{name}>'.encode()
    start_response(status, [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))])
    return [body]
