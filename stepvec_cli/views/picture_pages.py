"""Pages of pictures that commands write and open."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stepvec.adapters.outputs import check_file, check_suffix, written
from stepvec.client.pictures import Reader, pictures
from stepvec_cli.browser import show
from stepvec_cli.console import errors, tell
from stepvec_cli.views.alike_page import Shown, page, shown_rows

_REMEDY: Final = "Give another place with --html."


def checked_page(name: str, html: Path | None, *, open_page: bool) -> Path | None:
    """Where the page goes, which can be written there; None where none is wanted. Raises OutputError."""
    if html is None and not open_page:
        return None
    target = html or Path(tempfile.mkdtemp(prefix="stepvec-")) / f"{name}.html"
    check_suffix(target, (".html",))
    check_file(target, remedy=_REMEDY)
    return target


def write_page(
    target: Path, title: str, answer: str, rows: Sequence[Sequence[Shown]], read: Reader, *, open_page: bool = False
) -> None:
    """Write `rows` of photos as a page, with the pictures that `read` gives, and open it if that is wanted."""
    chosen = shown_rows(rows)
    with errors.status("Making pictures"):
        seen = pictures((photo.key for row in chosen for photo in row), read)
    if not seen:
        errors.print(
            "No picture could be read: give the photos' folder with --photos, or credentials for the bucket.",
            highlight=False,
        )
    text = page(title, answer, chosen, seen, hidden=len(rows) - len(chosen))
    with written(target, remedy=_REMEDY) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    tell(f"The page: {target}")
    if open_page:
        show(target.resolve().as_uri())
