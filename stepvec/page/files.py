"""The files that pages are made of."""

from __future__ import annotations

from importlib.resources import files

from markupsafe import Markup


def asset(name: str) -> Markup:
    """A file of ours, for a template to take as it is."""
    return Markup(files("stepvec.page").joinpath("assets", name).read_text(encoding="utf-8"))  # noqa: S704


def palette() -> Markup:
    """The colours of all our pages, light and dark, as CSS: each has the contrast of WCAG AA on --back and --raised."""
    return asset("palette.css")
