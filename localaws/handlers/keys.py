"""KMS keys: they exist, so that policies can name them, and encrypt nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localaws.handlers.registry import Deployed, Site, handles


@handles(
    "AWS::KMS::Key", applied=set(), harmless={"Description", "EnableKeyRotation", "KeyPolicy", "PendingWindowInDays"}
)
def key(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a key that nothing uses: neither key policies nor the permission to use a key are checked."""
    created = site.client("kms").create_key(Description=properties.get("Description", ""))["KeyMetadata"]
    site.leave_out(logical_id, "AWS::KMS::Key", "nothing is encrypted")
    return Deployed(created["KeyId"], {"Arn": created["Arn"], "KeyId": created["KeyId"]})
