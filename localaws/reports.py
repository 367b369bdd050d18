"""What the embedded AWS tells about itself: what it leaves out, and what it refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotLocal:
    """Something of the template that a local run does not have, and why."""

    stack: str
    logical_id: str
    resource_type: str
    reason: str


@dataclass(frozen=True, slots=True)
class Denial:
    """A call that the caller's policies do not allow.

    `principal` is the ARN of the user or of the assumed role's session.
    """

    principal: str
    action: str
    resource: str
