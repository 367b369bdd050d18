"""A browser, and pages to look at with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.browser import Browser, Tab, find_browser
from testkit.pages import Album, album, write


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        assert not os.environ.get("CI"), "CI has a browser: .ci/run installs one"
        pytest.skip("there is no Chromium; on Debian: apt-get install chromium")
    with Browser(path) as started:
        yield started


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
