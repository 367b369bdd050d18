"""IAM roles and policies, and KMS keys: those exist so that policies can name them, and encrypt nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localaws.handlers.registry import Change, Deployed, Site, handles, removes, updates


@handles(
    "AWS::IAM::Role",
    applied={"RoleName", "AssumeRolePolicyDocument", "Policies", "ManagedPolicyArns", "Path"},
    harmless={"Description", "MaxSessionDuration"},
    fixed={"RoleName", "Path"},
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
    _add_policies(site, name, properties)
    return Deployed(name, {"Arn": created["Arn"], "RoleId": created["RoleId"]})


@updates("AWS::IAM::Role")
def update_role(site: Site, logical_id: str, change: Change) -> Deployed:  # noqa: ARG001
    """Replaces the trust policy, the inline policies and the managed ones."""
    iam, name = site.client("iam"), change.name
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(change.after["AssumeRolePolicyDocument"]))
    for inline in change.before.get("Policies", []):
        iam.delete_role_policy(RoleName=name, PolicyName=inline["PolicyName"])
    for arn in change.before.get("ManagedPolicyArns", []):
        iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    _add_policies(site, name, change.after)
    return change.deployed


@removes("AWS::IAM::Role")
def remove_role(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:
    """Deletes a role and the policies that it was created with."""
    iam, name = site.client("iam"), deployed.physical_id
    for inline in properties.get("Policies", []):
        iam.delete_role_policy(RoleName=name, PolicyName=inline["PolicyName"])
    for arn in properties.get("ManagedPolicyArns", []):
        iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    iam.delete_role(RoleName=name)


def _add_policies(site: Site, name: str, properties: Mapping[str, Any]) -> None:
    iam = site.client("iam")
    for inline in properties.get("Policies", []):
        document = json.dumps(inline["PolicyDocument"])
        iam.put_role_policy(RoleName=name, PolicyName=inline["PolicyName"], PolicyDocument=document)
    for arn in properties.get("ManagedPolicyArns", []):
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)


@handles("AWS::IAM::Policy", applied={"PolicyName", "PolicyDocument", "Roles"})
def policy(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Adds an inline policy to each of its roles."""
    document = json.dumps(properties["PolicyDocument"])
    for name in properties.get("Roles", []):
        site.client("iam").put_role_policy(RoleName=name, PolicyName=properties["PolicyName"], PolicyDocument=document)
    return Deployed(logical_id)


@updates("AWS::IAM::Policy")
def update_policy(site: Site, logical_id: str, change: Change) -> Deployed:
    """Puts the new document in the old one's place, and takes it from roles that are no longer named."""
    deployed = policy(site, logical_id, change.after)
    gone = set(change.before.get("Roles", []))
    if not change.touches("PolicyName"):
        gone -= set(change.after.get("Roles", []))
    for name in sorted(gone):
        site.client("iam").delete_role_policy(RoleName=name, PolicyName=change.before["PolicyName"])
    return deployed


@removes("AWS::IAM::Policy")
def remove_policy(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Takes the policy from its roles."""
    for name in properties.get("Roles", []):
        site.client("iam").delete_role_policy(RoleName=name, PolicyName=properties["PolicyName"])


@handles(
    "AWS::IAM::ManagedPolicy",
    applied={"ManagedPolicyName", "PolicyDocument", "Roles", "Path"},
    harmless={"Description"},
    fixed={"ManagedPolicyName", "Path", "Description"},
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


@updates("AWS::IAM::ManagedPolicy")
def update_managed_policy(site: Site, logical_id: str, change: Change) -> Deployed:  # noqa: ARG001
    """Makes another version of the policy the one that counts, and attaches it to the roles of now."""
    iam, arn = site.client("iam"), change.name
    if change.touches("PolicyDocument"):
        document = json.dumps(change.after["PolicyDocument"])
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    before, after = (set(properties.get("Roles", [])) for properties in (change.before, change.after))
    for name in sorted(after - before):
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    for name in sorted(before - after):
        iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    return change.deployed


@removes("AWS::IAM::ManagedPolicy")
def remove_managed_policy(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:
    """Detaches the policy and deletes it."""
    iam, arn = site.client("iam"), deployed.physical_id
    for name in properties.get("Roles", []):
        iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=arn)


@handles(
    "AWS::KMS::Key", applied=set(), harmless={"Description", "EnableKeyRotation", "KeyPolicy", "PendingWindowInDays"}
)
def key(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a key that nothing uses: neither key policies nor the permission to use a key are checked."""
    created = site.client("kms").create_key(Description=properties.get("Description", ""))["KeyMetadata"]
    site.leave_out(logical_id, "AWS::KMS::Key", "nothing is encrypted")
    return Deployed(created["KeyId"], {"Arn": created["Arn"], "KeyId": created["KeyId"]})


@removes("AWS::KMS::Key")
def remove_key(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:
    """Schedules the key's deletion."""
    days = int(properties.get("PendingWindowInDays", 30))
    site.client("kms").schedule_key_deletion(KeyId=deployed.physical_id, PendingWindowInDays=days)
