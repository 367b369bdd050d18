"""A page of images that are alike: what a search found, groups of duplicates, outliers beside their nearest."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment, PackageLoader

from stepvec.page.files import palette

MOST_PHOTOS: Final = 400
"""Photos that a page shows at most: it is one file, some 6 KB a photo."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A photo of a row: its key, what is said of it, and whether the others of the row are compared with it."""

    key: str
    says: str
    first: bool = False


def shown_rows(rows: Sequence[Sequence[Shown]]) -> list[Sequence[Shown]]:
    """As many whole rows as a page shows, and at least one."""
    chosen: list[Sequence[Shown]] = []
    photos = 0
    for row in rows:
        photos += len(row)
        if chosen and photos > MOST_PHOTOS:
            break
        chosen.append(row[:MOST_PHOTOS])
    return chosen


def page(
    title: str, answer: str, rows: Sequence[Sequence[Shown]], pictures: Mapping[str, str], *, hidden: int = 0
) -> str:
    """The page. `pictures` are data: URLs by key; `hidden` rows are not shown. Keys are text, whatever is in them."""
    templates = Environment(loader=PackageLoader("stepvec_cli"), autoescape=True)
    photos = [
        [
            {"key": photo.key, "says": photo.says, "first": photo.first, "picture": pictures.get(photo.key, "")}
            for photo in row
        ]
        for row in rows
    ]
    return templates.get_template("alike.html").render(
        title=title, answer=answer, rows=photos, hidden=hidden, nonce=secrets.token_urlsafe(16), palette=palette()
    )
