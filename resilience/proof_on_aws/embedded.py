"""A rehearsal: the embedded AWS as the account in which the proof is taken."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from local_pipeline.cloud import deployment_of
from local_pipeline.installation import LAMBDA_PYTHON, WORKER_PYTHON, check_installation, synthesize
from localaws import EmbeddedCloud
from stepvec.client.deployment import Deployment
from stepvec.client.removal import delete_stack, delete_stored, exists, find_stored

SLOTS: Final = 2


class EmbeddedAccount:
    """As AwsAccount, for as long as `embedded_account` is open."""

    where = "the embedded AWS: a rehearsal, which proves nothing about AWS"
    image_for_jobs = ""
    mid_run_shards = 6

    def __init__(self, name: str, stack: ExitStack) -> None:
        self.name = name
        self._stack = stack
        self._cloud: EmbeddedCloud | None = None
        self._assemblies: dict[str, Path] = {}

    @property
    def cloud(self) -> EmbeddedCloud:
        """The embedded AWS, once something is deployed."""
        assert self._cloud is not None  # noqa: S101 - `deploy` comes first
        return self._cloud

    def client(self, service: str) -> Any:
        """As Place.client."""
        return self.cloud.client(service)

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """As Place.prepare: synthesizing takes longer than a run here."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="stepvec-proof-")))
        synthesize(folder, {**settings, "name": self.name})
        self._assemblies[json.dumps(settings)] = folder

    def deploy(self, settings: Mapping[str, Any]) -> Deployment:
        """As Place.deploy."""
        if json.dumps(settings) not in self._assemblies:
            self.prepare(settings)
        assembly = self._assemblies[json.dumps(settings)]
        if self._cloud is None:
            self._cloud = self._stack.enter_context(
                EmbeddedCloud.start(assembly, lambda_python=LAMBDA_PYTHON, worker_python=WORKER_PYTHON, slots=SLOTS)
            )
        else:
            self._cloud.deploy(assembly)
        return deployment_of(self._cloud)

    def destroy(self) -> None:
        """As Place.destroy, by the library behind `stepvec destroy --data`."""
        data, pipeline = f"{self.name}Data", f"{self.name}Pipeline"
        if self._cloud is None:
            return
        if exists(self.client, pipeline):
            delete_stack(self.client, pipeline, local=True)
        if exists(self.client, data):
            delete_stored(self.client, data, find_stored(self.client, data), lambda _: None, local=True)


@contextmanager
def embedded_account(name: str) -> Iterator[EmbeddedAccount]:
    """An embedded AWS, which ends with the block. Raises ConfigurationError where an environment is missing."""
    check_installation()
    with ExitStack() as stack:
        yield EmbeddedAccount(name, stack)
