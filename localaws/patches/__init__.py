"""Closes moto's gaps that would make a local run lie. Each patch has a name and a contract test of that name.

docs/local.md has the table. The patches rely on moto's inner names, hence the exact version.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from localaws.patches import (
    batch,
    functions,
    server,
    states_clients,
    states_execution,
    states_map,
    states_tasks,
    storage,
    triggers,
)

PATCHES: Final[dict[str, Callable[[], None]]] = {
    **server.PATCHES,
    **storage.PATCHES,
    **batch.PATCHES,
    **functions.PATCHES,
    **states_clients.PATCHES,
    **states_execution.PATCHES,
    **states_tasks.PATCHES,
    **states_map.PATCHES,
    **triggers.PATCHES,
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
