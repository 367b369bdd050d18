"""Draws docs/images/view*.webp from the demo's results: `make page-pictures`. It wants Chromium.

The gallery as a browser shows it: a photo open beside its nearest, the same on a phone, and the map in dark colours.
"""

from __future__ import annotations

import sys
from typing import Final

from local_pipeline.installation import ROOT
from testkit.browser import Browser, Tab, find_browser

GALLERY: Final = ROOT / "stepvec-out" / "gallery.html"
IMAGES: Final = ROOT / "docs" / "images"
OPEN: Final = "pants-03"
"""A name in the key of the photo that is open."""
QUALITY: Final = 80


def main() -> None:
    """Draw the pictures from the gallery that the demo wrote."""
    path = find_browser()
    if path is None:
        sys.exit("There is no Chromium; on Debian: apt-get install chromium")
    with Browser(path) as browser:
        desk = browser.open(GALLERY.as_uri(), width=1200, height=760)
        open_photo(desk)
        draw(desk, "view.webp")
        phone = browser.open(GALLERY.as_uri(), width=390, height=760)
        open_photo(phone)
        draw(phone, "view-phone.webp")
        dark = browser.open(GALLERY.as_uri(), width=1200, height=760, dark=True)
        open_photo(dark)
        dark.click("#tab-map")
        dark.run("document.querySelector('#map').scrollIntoView({block: 'end'})")
        dark.run("new Promise((done) => setTimeout(done, 1000))")
        draw(dark, "view-map.webp")


def open_photo(tab: Tab) -> None:
    """Click the photo whose key has OPEN in it, and wait for its neighbours."""
    tab.wait_for("document.querySelector('.cell img')?.complete")
    number = tab.run(
        f"JSON.parse(document.querySelector('#content').textContent).keys.findIndex((k) => k.includes('{OPEN}'))"
    )
    tab.load(f"{GALLERY.as_uri()}#/photos/{number}")
    tab.run(f"location.hash = '#/photos/{number}'")
    tab.wait_for("document.querySelectorAll('#detail .photos img').length")
    tab.wait_for("[...document.images].every((image) => image.complete)")


def draw(tab: Tab, name: str) -> None:
    """Take what is seen, and complain of what the console shows."""
    tab.screenshot(IMAGES / name, quality=QUALITY)
    size = (IMAGES / name).stat().st_size
    print(f"docs/images/{name}: {size // 1024} KB", *tab.problems())


if __name__ == "__main__":
    main()
