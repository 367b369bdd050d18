"""Both stacks of the app, created on the second emulator by their own templates."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, Final

from tests.second_opinion.differences import Differences
from tests.second_opinion.ministack import ACCOUNT, REGION, Ministack

STACKS: Final = ("StepvecData", "StepvecPipeline")
CREATED: Final = "CREATE_COMPLETE"
LACKING: Final = ("AWS::Batch::",)
"""Types that ministack has not, by how they begin, beside alarms on several metrics. Whoever names one gets an ARN."""
ASSETS: Final = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"


def create(cloud: Ministack, assembly: Path, stack: str) -> Differences:
    """Create the stack; by resource, what it ended with where that is not CREATE_COMPLETE."""
    _upload_assets(cloud, assembly, stack)
    template = without_what_is_lacking(json.loads((assembly / f"{stack}.template.json").read_text()))
    formation = cloud.client("cloudformation")
    formation.create_stack(
        StackName=stack, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]
    )
    (made,) = formation.describe_stacks(StackName=stack)["Stacks"]
    found = {} if made["StackStatus"] == CREATED else {"status": (CREATED, made["StackStatus"])}
    for event in formation.describe_stack_events(StackName=stack)["StackEvents"]:
        if event["ResourceStatus"].endswith("FAILED"):
            what = f"{event.get('ResourceType')} {event['LogicalResourceId']}"
            found[what] = (CREATED, event.get("ResourceStatusReason", ""))
    return found


def _upload_assets(cloud: Ministack, assembly: Path, stack: str) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=ASSETS)
    for asset in json.loads((assembly / f"{stack}.assets.json").read_text())["files"].values():
        source = assembly / asset["source"]["path"]
        for place in asset["destinations"].values():
            s3.put_object(Bucket=ASSETS, Key=place["objectKey"], Body=_packed(source))


def _packed(source: Path) -> bytes:
    if source.is_file():
        return source.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted(source.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(source))
    return buffer.getvalue()


def without_what_is_lacking(template: dict[str, Any]) -> dict[str, Any]:
    """The template without the resources that ministack lacks; what refers to one gets an ARN instead."""
    lacking = {
        name
        for name, resource in template["Resources"].items()
        if resource["Type"].startswith(LACKING)
        or (resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"])
    }

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            if value.get("Ref") in lacking or (value.get("Fn::GetAtt") or [None])[0] in lacking:
                return f"arn:aws:batch:{REGION}:{ACCOUNT}:lacking/any:1"
            return {key: replaced(inner) for key, inner in value.items()}
        return [replaced(inner) for inner in value] if isinstance(value, list) else value

    resources = {name: replaced(one) for name, one in template["Resources"].items() if name not in lacking}
    for resource in resources.values():
        needed = resource.get("DependsOn", [])
        kept = [name for name in ([needed] if isinstance(needed, str) else needed) if name not in lacking]
        resource.pop("DependsOn", None)
        if kept:
            resource["DependsOn"] = kept
    return {**replaced({key: value for key, value in template.items() if key != "Resources"}), "Resources": resources}
