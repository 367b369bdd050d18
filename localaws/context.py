"""What everything that runs in an embedded AWS shares: where it is, whose credentials, which processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localaws.iam.authorizer import Authorizer
from localaws.iam.credentials import CredentialStore
from localaws.processes import Children, local_environment


@dataclass(slots=True)
class Context:
    """One embedded AWS. Made by `EmbeddedCloud.start`."""

    region: str
    account: str
    credentials: CredentialStore
    authorizer: Authorizer
    extra_environment: Mapping[str, str]
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    """What schedules go by."""
    endpoint_url: str = ""
    client_url: str = ""
    """Where functions, jobs and state machines find the embedded AWS: `endpoint_url`, or what stands before it."""
    work_directory: Path = Path()
    children: Children = field(default_factory=Children)
    clients: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    clients_lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    def environment(
        self,
        role_arn: str,
        *,
        session: str,
        service: str,
        home: Path,
        template: Mapping[str, str],
        service_variables: Mapping[str, str],
    ) -> dict[str, str]:
        """A child's whole environment, the role's credentials in it.

        `service_variables` are those that the service sets itself, over the `template`'s. Those given to
        `EmbeddedCloud.start` win over all.
        """
        local = local_environment(
            endpoint_url=self.client_url,
            credentials=self.credentials.for_role(role_arn, session, service),
            home=home,
        )
        return {**local, **template, **service_variables, **self.extra_environment}
