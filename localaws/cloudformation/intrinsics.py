"""Resolves CloudFormation's intrinsic functions in a template's values."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localaws.errors import TemplateError

_NO_VALUE = object()
_PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a stack is deployed: what the pseudo parameters give."""

    account: str
    region: str
    stack: str

    def pseudo_parameters(self) -> dict[str, Any]:
        """AWS::AccountId and the like, by name."""
        return {
            "AWS::AccountId": self.account,
            "AWS::Region": self.region,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": self.stack,
            "AWS::StackId": f"arn:aws:cloudformation:{self.region}:{self.account}:stack/{self.stack}/local",
            "AWS::NotificationARNs": [],
            "AWS::NoValue": _NO_VALUE,
        }


class Resolver:
    """Resolves the values of one template.

    `physical_id(logical_id)` and `attribute(logical_id, name)` create the resource when it is not there yet;
    `exports` holds what stacks before this one exported, `outputs` all their outputs by stack.
    """

    def __init__(
        self,
        template: Mapping[str, Any],
        environment: Environment,
        *,
        physical_id: Callable[[str], str],
        attribute: Callable[[str, str], Any],
        exports: Mapping[str, Any],
        outputs: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._template = template
        self._environment = environment
        self._values = environment.pseudo_parameters()
        self._physical_id = physical_id
        self._attribute = attribute
        self._exports = exports
        self._outputs = outputs

    def resolve(self, value: Any) -> Any:
        """`value` with every intrinsic function replaced; AWS::NoValue removes its key or element.

        Raises TemplateError for a function that is not known or does not resolve.
        """
        resolved = self._resolve(value)
        return None if resolved is _NO_VALUE else resolved

    def holds(self, condition: str) -> bool:
        """Whether the template's condition of this name is true."""
        conditions = self._template.get("Conditions", {})
        if condition not in conditions:
            raise self._error(f"condition {condition} is not defined")
        return bool(self._resolve(conditions[condition]))

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [item for item in map(self._resolve, value) if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                return self._call(name, argument)
        resolved = {key: self._resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not _NO_VALUE}

    def _call(self, name: str, argument: Any) -> Any:
        if name == "Condition" and (not isinstance(argument, str) or self._is_policy_condition(argument)):
            return {name: self._resolve(argument)}
        function = _FUNCTIONS.get(name)
        if function is None:
            raise self._error(f"intrinsic function {name} is not supported")
        try:
            return function(self, argument)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise self._error(f"{name} of {argument!r} does not resolve ({error!r})") from error

    def _is_policy_condition(self, argument: str) -> bool:
        return argument not in self._template.get("Conditions", {})

    def _error(self, message: str) -> TemplateError:
        return TemplateError(
            f"Stack {self._environment.stack}: {message}.",
            remedy="Write it without this in the CDK app, or add it to localaws/cloudformation/intrinsics.py.",
        )

    def _ref(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        parameters = self._template.get("Parameters", {})
        if name in parameters:
            if "Default" not in parameters[name]:
                raise self._error(f"parameter {name} has no default")
            return parameters[name]["Default"]
        return self._physical_id(name)

    def _get_att(self, argument: Any) -> Any:
        logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        return self._attribute(logical_id, self._resolve(attribute))

    def _join(self, argument: Any) -> str:
        separator, items = argument
        return str(separator).join(str(item) for item in self._resolve(items))

    def _select(self, argument: Any) -> Any:
        index, items = argument
        return self._resolve(items)[int(self._resolve(index))]

    def _split(self, argument: Any) -> list[str]:
        separator, text = argument
        return str(self._resolve(text)).split(separator)

    def _sub(self, argument: Any) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else argument

        def replace(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in variables:
                return str(self._resolve(variables[name]))
            return str(self._get_att(name) if "." in name else self._ref(name))

        return _PLACEHOLDER.sub(replace, text)

    def _import_value(self, argument: Any) -> Any:
        name = self._resolve(argument)
        if name not in self._exports:
            raise self._error(f"no stack before this one exports {name}")
        return self._exports[name]

    def _stack_output(self, argument: Any) -> Any:
        return self._outputs[self._resolve(argument["StackName"])][self._resolve(argument["OutputName"])]

    def _find_in_map(self, argument: Any) -> Any:
        table, row, column = (self._resolve(item) for item in argument)
        return self._resolve(self._template["Mappings"][table][row][column])

    def _if(self, argument: Any) -> Any:
        condition, when_true, when_false = argument
        return self._resolve(when_true if self.holds(condition) else when_false)

    def _equals(self, argument: Any) -> bool:
        left, right = (self._resolve(item) for item in argument)
        return bool(str(left) == str(right))


_FUNCTIONS: dict[str, Callable[[Resolver, Any], Any]] = {
    "Ref": Resolver._ref,
    "Condition": Resolver.holds,
    "Fn::GetAtt": Resolver._get_att,
    "Fn::Join": Resolver._join,
    "Fn::Select": Resolver._select,
    "Fn::Split": Resolver._split,
    "Fn::Sub": Resolver._sub,
    "Fn::ImportValue": Resolver._import_value,
    "Fn::GetStackOutput": Resolver._stack_output,
    "Fn::FindInMap": Resolver._find_in_map,
    "Fn::If": Resolver._if,
    "Fn::Equals": Resolver._equals,
    "Fn::Not": lambda resolver, argument: not resolver._resolve(argument[0]),
    "Fn::And": lambda resolver, argument: all(resolver._resolve(item) for item in argument),
    "Fn::Or": lambda resolver, argument: any(resolver._resolve(item) for item in argument),
    "Fn::GetAZs": lambda resolver, _: [resolver._environment.region + zone for zone in "abc"],
    "Fn::Base64": lambda resolver, argument: base64.b64encode(str(resolver._resolve(argument)).encode()).decode(),
}
