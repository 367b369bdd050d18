"""What commands answer: text for people, or with `--json` one JSON document, alone on standard output."""

from __future__ import annotations

import json
from typing import Any

import typer


def print_json(answer: Any) -> None:
    """Print a record (a dataclass) as JSON, indented. Non-ASCII text stays as it is."""
    from stepvec import codec  # cattrs takes a while to import

    typer.echo(json.dumps(codec.to_document(answer), indent=2, ensure_ascii=False))
