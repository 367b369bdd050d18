"""A real container engine for Batch jobs, instead of the worker's Python on this machine."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_LABEL: Final = "stepvec.local"
_THE_IMAGES_OWN: Final = frozenset({"PATH", "HOME", "TMPDIR", "TZ"})
"""Variables that a process here is given and a container has from its image, or must not have."""

HARDENED: Final = (
    # The embedded AWS listens on 127.0.0.1.
    *("--network", "host"),
    *("--read-only", "--tmpfs", "/tmp"),  # noqa: S108 - the container's own
    *("--cap-drop", "all"),
    *("--security-opt", "no-new-privileges"),
)
"""Options of every job: no rights but those of its user, and nothing to write to but /tmp."""


@dataclass(frozen=True, slots=True)
class ContainerEngine:
    """Runs every job's image as a container of `image`.

    Attributes:
        program: takes the arguments of `docker` (podman does, too).
        image: an image that the program has, built from the CDK app's image folder.
    """

    program: Path
    image: str
    _mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def command(self, arguments: Iterable[str], variables: Iterable[str]) -> list[str]:
        """How to run the image with `arguments` for its ENTRYPOINT.

        `variables` names what the container gets of the command's environment. Names only: values, credentials among
        them, would be seen in the list of processes.
        """
        passed = sorted(set(variables) - _THE_IMAGES_OWN)
        return [
            *(str(self.program), "run", "--rm", "--label", f"{_LABEL}={self._mark}"),
            *HARDENED,
            *(word for name in passed for word in ("--env", name)),
            *(self.image, *arguments),
        ]

    def remove_all(self) -> None:
        """Removes the containers of this object that still run: SIGKILL ends the command, not its container."""
        listed = subprocess.run(
            [str(self.program), "ps", "--all", "--quiet", "--filter", f"label={_LABEL}={self._mark}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if ids := listed.stdout.split():
            subprocess.run([str(self.program), "rm", "--force", *ids], capture_output=True, check=False)
