"""Deploys each resource type through the public API."""

from __future__ import annotations

# Imported for their registrations.
from localaws.handlers import compute, http_apis, identity, orchestration, storage, triggers, vectors

__all__ = ["compute", "http_apis", "identity", "orchestration", "storage", "triggers", "vectors"]
