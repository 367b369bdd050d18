"""What the patches of moto need to know of the one embedded AWS that runs in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaws.batch.container_engine import ContainerEngine
from localaws.batch.dockerfile import Image
from localaws.batch.slots import Slots
from localaws.errors import LocalCloudError
from localaws.iam.authorizer import Authorizer
from localaws.iam.credentials import CredentialStore
from localaws.processes import STOP_GRACE_SECONDS, Children, child_environment

if TYPE_CHECKING:
    from localaws.functions.pool import LambdaPool


@dataclass(slots=True)
class FunctionLogging:
    """A function's LoggingConfig, which moto does not keep."""

    group: str | None = None
    log_format: str = "Text"
    application_level: str | None = None


@dataclass(slots=True)
class Context:
    """The running embedded AWS, as the patches see it. Made by `EmbeddedCloud.start`."""

    region: str
    account: str
    lambda_python: Path
    worker_python: Path
    credentials: CredentialStore
    authorizer: Authorizer
    slots: Slots
    extra_environment: Mapping[str, str]
    container_engine: ContainerEngine | None = None
    endpoint_url: str = ""
    client_url: str = ""
    """Where functions, jobs and state machines find the embedded AWS: `endpoint_url`, or what stands before it."""
    work_directory: Path = Path()
    children: Children = field(default_factory=Children)
    images: dict[str, Image] = field(default_factory=dict)
    function_logging: dict[str, FunctionLogging] = field(default_factory=dict)
    clients: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    clients_lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)
    lambda_pool: LambdaPool | None = None
    stop_grace_seconds: float = STOP_GRACE_SECONDS
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    """What schedules go by."""

    def environment(
        self,
        role_arn: str,
        *,
        session: str,
        service: str,
        home: Path,
        execution_environment: str,
        template: Mapping[str, str],
    ) -> dict[str, str]:
        """A child's environment with the role's credentials and the `template`'s variables.

        The variables given to `EmbeddedCloud.start` win over the template's.
        """
        environment = child_environment(
            endpoint_url=self.client_url,
            region=self.region,
            credentials=self.credentials.for_role(role_arn, session, service),
            home=home,
            execution_environment=execution_environment,
        )
        environment.update(template)
        environment.update(self.extra_environment)
        return environment


_current: Context | None = None


def set_current(context: Context | None) -> None:
    """Makes `context` the one of this process. Raises LocalCloudError when another one is still open."""
    global _current  # moto's backends are global to the process, and so is this
    if context is not None and _current is not None:
        raise LocalCloudError(
            "An embedded AWS already runs in this process.", remedy="Close it first, or use another process."
        )
    _current = context


def current() -> Context:
    """The embedded AWS of this process. Raises LocalCloudError when none is open."""
    if _current is None:
        raise LocalCloudError("No embedded AWS is open.", remedy="Call EmbeddedCloud.start first.")
    return _current
