"""IAM roles and policies, and KMS keys: those exist so that policies can name them, and encrypt nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localaws.handlers.registry import Deployed, Site, handles


@handles(
    "AWS::IAM::Role",
    applied={"RoleName", "AssumeRolePolicyDocument", "Policies", "ManagedPolicyArns", "Path"},
    harmless={"Description", "MaxSessionDuration"},
)
def role(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a role with its inline and managed policies."""
    name = properties.get("RoleName") or site.name(logical_id, 64)
    iam = site.client("iam")
    created = iam.create_role(
        RoleName=name,
        Path=properties.get("Path", "/"),
        AssumeRolePolicyDocument=json.dumps(properties["AssumeRolePolicyDocument"]),
    )["Role"]
    for inline in properties.get("Policies", []):
        document = json.dumps(inline["PolicyDocument"])
        iam.put_role_policy(RoleName=name, PolicyName=inline["PolicyName"], PolicyDocument=document)
    for arn in properties.get("ManagedPolicyArns", []):
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    return Deployed(name, {"Arn": created["Arn"], "RoleId": created["RoleId"]})


@handles("AWS::IAM::Policy", applied={"PolicyName", "PolicyDocument", "Roles"})
def policy(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Adds an inline policy to each of its roles."""
    document = json.dumps(properties["PolicyDocument"])
    for name in properties.get("Roles", []):
        site.client("iam").put_role_policy(RoleName=name, PolicyName=properties["PolicyName"], PolicyDocument=document)
    return Deployed(logical_id)


@handles(
    "AWS::IAM::ManagedPolicy",
    applied={"ManagedPolicyName", "PolicyDocument", "Roles", "Path"},
    harmless={"Description"},
)
def managed_policy(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a managed policy and attaches it to its roles."""
    iam = site.client("iam")
    arn = iam.create_policy(
        PolicyName=properties.get("ManagedPolicyName") or site.name(logical_id, 128),
        Path=properties.get("Path", "/"),
        PolicyDocument=json.dumps(properties["PolicyDocument"]),
    )["Policy"]["Arn"]
    for name in properties.get("Roles", []):
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    return Deployed(arn, {"PolicyArn": arn})


@handles(
    "AWS::KMS::Key", applied=set(), harmless={"Description", "EnableKeyRotation", "KeyPolicy", "PendingWindowInDays"}
)
def key(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a key that nothing uses: neither key policies nor the permission to use a key are checked."""
    created = site.client("kms").create_key(Description=properties.get("Description", ""))["KeyMetadata"]
    site.leave_out(logical_id, "AWS::KMS::Key", "nothing is encrypted")
    return Deployed(created["KeyId"], {"Arn": created["Arn"], "KeyId": created["KeyId"]})
