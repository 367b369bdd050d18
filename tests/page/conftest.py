"""A browser, and pages to look at with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.browser import Browser, Tab
from testkit.pages import Album, album, write


@pytest.fixture(scope="session")
def photos() -> Album:
    return album(160)


@pytest.fixture(scope="session")
def gallery(photos: Album, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("gallery") / "gallery.html", photos)


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def width(request: pytest.FixtureRequest) -> int:
    width: int = request.param
    return width


@pytest.fixture
def tab(browser: Browser, gallery: Path, width: int) -> Iterator[Tab]:
    """The gallery, open; afterwards the console has shown nothing wrong, and nobody else was asked for anything."""
    opened = browser.open(gallery.as_uri(), width=width, height=844)
    opened.wait_for("document.querySelector('.cell img')?.complete")
    yield opened
    assert opened.problems() == []
    assert {address.partition(":")[0] for address in opened.requested()} <= {"file", "data"}
    assert opened.run("document.title").startswith("Stepvec: 160 photos")
    opened.close()
