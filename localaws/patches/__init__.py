"""Closes moto's gaps that would make a local run lie, and is the only place that knows moto.

Each patch has a name and a contract test of that name; docs/local.md has the table. The patches rely on moto's inner
names, hence the exact version. The rest of `localaws` sees moto as its protocols say (`batch.job.Job`,
`functions.event_source.SourceQueue`, `iam.credentials.Identities`), which the classes here implement.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from localaws.errors import InstallationError

MOTO_VERSION: Final = "5.2.5"


def check_installation() -> None:
    """Raises InstallationError when moto is missing or of another version."""
    try:
        found = f"moto {version('moto')}"
    except PackageNotFoundError:
        found = "no moto"
    if found != f"moto {MOTO_VERSION}":
        raise InstallationError(
            f"There is {found} here, and the embedded AWS was checked against {MOTO_VERSION}.",
            remedy="Install requirements/project.txt.",
        )


# Before anything of moto: another version may lack what is imported below.
check_installation()

from localaws.patches import (  # noqa: E402
    batch,
    event_sources,
    functions,
    notifications,
    rows,
    server,
    states_clients,
    states_execution,
    states_map,
    states_tasks,
    storage,
    table_exports,
    triggers,
    vector_indexes,
)

PATCHES: Final[dict[str, Callable[[], None]]] = {
    **server.PATCHES,
    **storage.PATCHES,
    **rows.PATCHES,
    **table_exports.PATCHES,
    **vector_indexes.PATCHES,
    **batch.PATCHES,
    **functions.PATCHES,
    **states_clients.PATCHES,
    **states_execution.PATCHES,
    **states_tasks.PATCHES,
    **states_map.PATCHES,
    **triggers.PATCHES,
    **event_sources.PATCHES,
    **notifications.PATCHES,
}

_lock = threading.Lock()
_installed: set[str] = set()


def install_patches() -> None:
    """Applies every patch, once in a process."""
    with _lock:
        for name, apply in PATCHES.items():
            if name not in _installed:
                apply()
                _installed.add(name)
