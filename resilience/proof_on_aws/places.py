"""Where the proof is taken: an AWS account, or the embedded AWS for a rehearsal of the same flow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from stepvec.client.deployment import Deployment, find_deployment
from stepvec.client.removal import exists
from stepvec.client.session import caller, new_client
from stepvec.errors import ConfigurationError

STEPVEC: Final = Path(sys.executable).parent / "stepvec"


class Place(Protocol):
    """An account in which a deployment of a throw-away name comes and goes."""

    name: str
    """The setting `name` of the deployment: the beginning of its stacks' names."""
    where: str
    """For people."""
    image_for_jobs: str
    """An image with a shell that any job can run; "" where there is no registry."""

    mid_run_shards: int
    """Shards of a run that lasts longer than a deployment takes."""

    def client(self, service: str) -> Any:
        """A boto3 client."""
        ...

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """Do beforehand what can be done of `deploy` with these settings."""
        ...

    def deploy(self, settings: Mapping[str, Any]) -> Deployment:
        """Deploy both stacks with these settings, or update them to these."""
        ...

    def destroy(self) -> None:
        """Remove both stacks and everything that they stored."""
        ...


class AwsAccount:
    """The account and region of the environment's credentials."""

    image_for_jobs = "public.ecr.aws/docker/library/busybox:stable"
    """https://gallery.ecr.aws/docker/library/busybox"""
    mid_run_shards = 60
    """An instance starts in minutes, a container in seconds; an update takes some three minutes."""

    def __init__(self, name: str) -> None:
        account, region = caller()
        self.name = name
        self.where = f"AWS, region {region}"
        self.account = account
        self._clients: dict[str, Any] = {}
        self._new_client: Callable[[str], Any] = new_client()

    def client(self, service: str) -> Any:
        """As Place.client."""
        if service not in self._clients:
            self._clients[service] = self._new_client(service)
        return self._clients[service]

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """As Place.prepare: nothing."""

    def deploy(self, settings: Mapping[str, Any]) -> Deployment:
        """As Place.deploy, by `stepvec deploy`. Raises ConfigurationError where it fails."""
        self._stepvec("deploy", "--yes", settings=settings)
        return find_deployment(f"{self.name}Data", f"{self.name}Pipeline")

    def destroy(self) -> None:
        """As Place.destroy, by `stepvec destroy --data`. Nothing to do where no stack is left."""
        if any(exists(self.client, f"{self.name}{part}") for part in ("Data", "Pipeline")):
            self._stepvec("destroy", "--data", "--confirm", f"{self.name}Data", settings={})

    def _stepvec(self, *arguments: str, settings: Mapping[str, Any]) -> None:
        environment = {**os.environ, "STEPVEC_SETTINGS": json.dumps({**settings, "name": self.name})}
        result = subprocess.run([STEPVEC, *arguments], env=environment, check=False)
        if result.returncode:
            raise ConfigurationError(
                f"stepvec {' '.join(arguments)} ended with exit code {result.returncode}.",
                remedy="Its own words are above.",
            )
