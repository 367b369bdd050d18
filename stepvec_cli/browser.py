"""Pages shown in the user's browser."""

from __future__ import annotations

import webbrowser

from stepvec_cli.console import errors


def show(address: str) -> None:
    """Open `address` in a browser, or say that there is none."""
    if not webbrowser.open(address):
        errors.print("There is no browser to open it with.", highlight=False)
