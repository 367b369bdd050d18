"""What deploying one changed setting does: read from both templates and CloudFormation's resource schemas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

DATA_TYPES: Final = {
    "AWS::S3::Bucket": "buckets",
    "AWS::DynamoDB::GlobalTable": "the table",
    "AWS::KMS::Key": "the key",
    "AWS::S3Vectors::VectorBucket": "the vector bucket",
    "AWS::S3Vectors::Index": "the index",
    "AWS::Logs::LogGroup": "log groups",
    "AWS::SQS::Queue": "queued messages",
}
"""Types whose resources hold something, and the word for it."""
WORDS: Final = {
    "AWS::ApiGatewayV2::Api": "HTTP API",
    "AWS::ApiGatewayV2::Stage": "stage",
    "AWS::Batch::ComputeEnvironment": "compute environment",
    "AWS::Batch::JobDefinition": "job definition",
    "AWS::Batch::JobQueue": "job queue",
    "AWS::CloudWatch::Alarm": "alarm",
    "AWS::CloudWatch::Dashboard": "dashboard",
    "AWS::DynamoDB::GlobalTable": "table",
    "AWS::EC2::InternetGateway": "internet gateway",
    "AWS::EC2::LaunchTemplate": "launch template",
    "AWS::EC2::Subnet": "subnet",
    "AWS::EC2::VPC": "VPC",
    "AWS::EC2::VPCEndpoint": "VPC endpoint",
    "AWS::Events::Rule": "rule",
    "AWS::KMS::Key": "key",
    "AWS::Lambda::EventSourceMapping": "event source mapping",
    "AWS::Lambda::Function": "function",
    "AWS::Logs::LogGroup": "log group",
    "AWS::S3::Bucket": "bucket",
    "AWS::S3Vectors::Index": "vector index",
    "AWS::S3Vectors::VectorBucket": "vector bucket",
    "AWS::SNS::Subscription": "subscription",
    "AWS::SNS::Topic": "topic",
    "AWS::SQS::Queue": "queue",
    "AWS::Scheduler::Schedule": "schedule",
    "AWS::StepFunctions::StateMachine": "state machine",
}
"""The types that the table names; policies, routes and the like go with them."""


@dataclass(frozen=True)
class Changes:
    """Logical ids by what becomes of them, as `Stack/LogicalId`, each with its type.

    `refused` would stop the deployment: a resource that has a name of our own and must be replaced. `lost` holds data
    that goes, `left` data that stays in the account and is not used any more.
    """

    updated: Mapping[str, str]
    replaced: Mapping[str, str]
    created: Mapping[str, str]
    deleted: Mapping[str, str]
    refused: Mapping[str, str]
    lost: Mapping[str, str]
    left: Mapping[str, str]
    protection_changed: bool = False


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Changes:
    """What deploying the templates `after` over `before` does; both by stack."""
    old, new = _resources(before), _resources(after)
    kinds = {**_kinds(old), **_kinds(new)}
    both = [name for name in new if name in old and new[name]["Type"] == old[name]["Type"]]
    differing = {
        name: set(_differences(old[name].get("Properties", {}), new[name].get("Properties", {}))) for name in both
    }
    replaced: set[str] = set()
    while True:
        # What refers to a replaced resource changes there too, and may so have to be replaced itself.
        paths = {
            name: differing[name] | set(_references(new[name].get("Properties", {}), replaced, name)) for name in both
        }
        more = {name for name in both if _is_replaced(new[name], paths[name])}
        if more == replaced:
            break
        replaced = more
    gone = [name for name in old if name not in both]
    vanishing = [*gone, *replaced]
    holding = [name for name in vanishing if kinds[name] in DATA_TYPES]
    kept = {
        name
        for name in holding
        if old[name].get("DeletionPolicy" if name in gone else "UpdateReplacePolicy") == "Retain"
    }

    def typed(names: Any) -> dict[str, str]:
        return {name: kinds[name] for name in sorted(names)}

    return Changes(
        updated=typed(name for name in both if paths[name] and name not in replaced),
        replaced=typed(replaced),
        created=typed(name for name in new if name not in both),
        deleted=typed(gone),
        refused=typed(name for name in replaced if _has_name_of_ours(new[name])),
        lost=typed(set(holding) - kept),
        left=typed(kept),
    )


def _resources(templates: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{stack}/{name}": resource
        for stack, template in templates.items()
        for name, resource in template["Resources"].items()
    }


def _kinds(resources: Mapping[str, Any]) -> dict[str, str]:
    return {name: resource["Type"] for name, resource in resources.items()}


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Paths of properties that differ, as /A/B; a list counts as one value."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {*old, *new}:
            yield from _differences(old.get(key), new.get(key), f"{path}/{key}")
    elif old != new:
        yield path


def _references(value: Any, names: set[str], of: str, path: str = "") -> Iterator[str]:
    """Paths of properties of `of` that refer to one of `names` in its own stack."""
    stack = of.split("/")[0]
    if isinstance(value, dict):
        for key, item in value.items():
            target = item if key == "Ref" else item[0] if key == "Fn::GetAtt" and isinstance(item, list) else None
            if isinstance(target, str) and f"{stack}/{target}" in names:
                yield path
            else:
                yield from _references(item, names, of, path if key.startswith("Fn::") else f"{path}/{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _references(item, names, of, path)


def _schema(kind: str) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    return schema


def _is_replaced(resource: Mapping[str, Any], paths: set[str]) -> bool:
    schema = _schema(resource["Type"])
    fixed = list(schema.get("createOnlyProperties") or [])
    properties = resource.get("Properties", {})
    if resource["Type"] != "AWS::Batch::ComputeEnvironment" or properties.get("ReplaceComputeEnvironment", True):
        # https://docs.aws.amazon.com/batch/latest/userguide/updating-compute-environments.html: false updates them.
        fixed += schema.get("conditionalCreateOnlyProperties") or []
    fixed = [path.removeprefix("/properties") for path in fixed]
    return any(path == at or path.startswith(f"{at}/") or at.startswith(f"{path}/") for path in paths for at in fixed)


def _has_name_of_ours(resource: Mapping[str, Any]) -> bool:
    """Whether the resource's identity is given by the template: two of that name cannot be, not even for a moment."""
    identifiers = _schema(resource["Type"]).get("primaryIdentifier") or []
    read_only = _schema(resource["Type"]).get("readOnlyProperties") or []
    names = [path.removeprefix("/properties/") for path in identifiers if path not in read_only]
    return any(isinstance(resource.get("Properties", {}).get(name), str) for name in names)


def sentence(found: Changes) -> str:
    """The change in words: what is updated, replaced, created and deleted."""
    parts = [
        f"{verb} {words}"
        for verb, names in (
            ("updates", found.updated),
            ("replaces", found.replaced),
            ("creates", found.created),
            ("deletes", {name: kind for name, kind in found.deleted.items() if name not in found.left}),
        )
        if (words := _in_words(names))
    ]
    return "; ".join(parts) if parts else "nothing in the templates"


def kept(found: Changes) -> str:
    """What becomes of the data: all kept, left behind, or gone."""
    lost, left = (
        sorted({DATA_TYPES[kind] for kind in found.lost.values()}),
        sorted({DATA_TYPES[kind] for kind in found.left.values()}),
    )
    parts = [f"**deleted**: {', '.join(lost)}"] if lost else []
    if left:
        parts.append(f"kept, but no longer used: {', '.join(left)}")
    return "; ".join(parts) if parts else "all kept"


def _in_words(names: Mapping[str, str]) -> str:
    counted = Counter(WORDS[kind] for kind in names.values() if kind in WORDS)
    return ", ".join(f"{count} {_plural(word)}" if count > 1 else word for word, count in sorted(counted.items()))


def _plural(word: str) -> str:
    return f"{word[:-1]}ies" if word.endswith("ry") else f"{word}s"
