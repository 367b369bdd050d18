"""A page's content as one HTML document, with its style and script inside."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from stepvec import codec
from stepvec.page.content import Content
from stepvec.page.files import asset, palette

SCRIPTS: Final = (
    "base.js", "figures.js", "sheet.js", "plane.js", "map.js", "lists.js", "detail.js", "keys.js", "main.js",
)  # fmt: skip
"""In the order in which they stand in the page: each knows those before it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands above the photos: a title, a line below it, and counts with their names."""

    title: str
    said: str
    counts: Sequence[tuple[str, str]]


def render(frame: Frame, content: Content, *, pictures_from: str) -> tuple[str, str]:
    """The document, and its Content-Security-Policy, which it also holds itself.

    `pictures_from` are the CSP's sources of pictures. Keys and messages are data, which the script shows as text.
    """
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; img-src {pictures_from}; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'"
    )
    templates = Environment(loader=PackageLoader("stepvec.page", "assets"), autoescape=True)
    document = templates.get_template("page.html").render(
        frame=frame,
        content=_as_script_data(content),
        style=palette() + asset("page.css"),
        script=Markup("\n").join(map(asset, SCRIPTS)),
        nonce=nonce,
        policy=policy,
    )
    return document, policy


def _as_script_data(content: Content) -> Markup:
    """`content` as JSON that ends no script element and begins no comment in one, whatever its texts are.

    https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements
    """
    text = json.dumps(codec.to_document(content), separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704
