"""The gallery as a person uses it, in headless Chromium, at the widths of a desk and of a phone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from testkit.browser import Browser, Tab
from testkit.pages import HOSTILE, MESSAGE, Album, album, write
from tests.local.conftest import wait_until

LABELS = "[...document.querySelectorAll('{}')].map((one) => one.getAttribute('aria-label'))"


def labels(tab: Tab, selector: str) -> Any:
    return tab.run(LABELS.format(selector))


def in_sheet(tab: Tab) -> Any:
    """Keys of the photos that are elements now, in the order of their places."""
    return tab.run(
        "[...document.querySelectorAll('.cell:not([hidden])')].sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)"
        ".map((cell) => cell.firstChild.getAttribute('aria-label'))"
    )


def open_photo(tab: Tab, key: str) -> None:
    tab.run(
        f"[...document.querySelectorAll('.cell button')].find((one) => one.ariaLabel === {json.dumps(key)}).id = 'it'"
    )
    tab.click("#it")
    tab.wait_for(f"document.querySelector('#detail h2')?.textContent === {json.dumps(key)}")
    tab.wait_for("document.querySelectorAll('#detail .photos .photo').length")


def found(tab: Tab) -> list[str]:
    """Keys of the nearest that are shown, without what is said of their cosines."""
    return [label.rpartition(", ")[0] for label in labels(tab, "#detail .photos .photo")]


def test_a_click_shows_the_nearest_which_are_those_of_numpy(tab: Tab, photos: Album) -> None:
    key = in_sheet(tab)[4]
    open_photo(tab, key)
    assert found(tab) == photos.nearest(key, 12)
    cosine = float(tab.run("document.querySelector('#detail .says').textContent"))
    one, other = photos.vectors[photos.keys.index(key)], photos.vectors[photos.keys.index(found(tab)[0])]
    assert cosine == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=0.001)


def test_one_neighbour_leads_to_the_next_and_the_browsers_way_back(tab: Tab, photos: Album) -> None:
    key = in_sheet(tab)[3]
    open_photo(tab, key)
    second = found(tab)[0]
    tab.click("#detail .photos .photo")
    tab.wait_for(f"document.querySelector('#detail h2').textContent === {json.dumps(second)}")
    tab.wait_for("document.querySelectorAll('#detail .photos .photo').length")
    assert found(tab) == photos.nearest(second, 12)
    tab.run("history.back()")
    tab.wait_for(f"document.querySelector('#detail h2').textContent === {json.dumps(key)}")


def test_the_keyboard_walks_opens_closes_and_filters(tab: Tab, photos: Album, width: int) -> None:
    tab.run("document.querySelector('.cell button').focus()")
    columns = tab.run("sheetColumns = getComputedStyle(document.querySelector('#sheet')).width") and int(
        tab.run("[...document.querySelectorAll('.cell')].filter((c) => c.style.transform.endsWith(' 0px)')).length")
    )
    tab.press("ArrowRight")
    tab.press("ArrowDown")
    at = photos.keys[1 + columns]
    assert tab.run("document.activeElement.ariaLabel") == at
    tab.press("Enter")
    tab.wait_for(f"document.querySelector('#detail h2')?.textContent === {json.dumps(at)}")
    if width > 960:
        tab.press("ArrowRight")
        tab.wait_for(f"document.querySelector('#detail h2').textContent === {json.dumps(photos.keys[2 + columns])}")
        at = photos.keys[2 + columns]
    tab.press("Escape")
    assert tab.run("document.querySelector('#detail').hidden")
    assert tab.run("document.activeElement.ariaLabel") == at
    tab.press("End")
    assert tab.run("document.activeElement.ariaLabel") == photos.keys[-1]
    tab.press("/")
    assert tab.run("document.activeElement.id") == "filter"
    tab.type("hat/")
    assert tab.run("document.querySelector('#filter').value") == "hat/"
    tab.press("Escape")
    assert tab.run("document.querySelector('#filter').value + document.activeElement.tagName") == "BODY"


def test_the_filter_takes_prefixes_of_keys_folders_and_names(tab: Tab, photos: Album) -> None:
    for text, wanted in (
        ("photos/hat", [key for key in photos.keys if key.startswith("photos/hat")]),
        ("SKIRT/", [key for key in photos.keys if "/skirt/" in key]),
        ("0002", [key for key in photos.keys if "/0002" in key]),
        ("kirt", []),
    ):
        tab.run("document.querySelector('#filter').select(); document.querySelector('#filter').focus()")
        tab.run("document.querySelector('#filter').value = ''")
        tab.type(text)
        assert tab.run("document.querySelector('#shown').textContent") == f"{len(wanted)} of 160 photos"
        shown = in_sheet(tab)
        assert shown == wanted[: len(shown)]
        assert bool(shown) is bool(wanted)


def test_every_photo_can_be_scrolled_to_and_few_are_elements(tab: Tab, photos: Album) -> None:
    seen = set(in_sheet(tab))
    for _ in range(80):
        tab.run("scrollBy(0, innerHeight * 0.8)")
        tab.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        shown = in_sheet(tab)
        assert len(shown) < 100
        seen |= set(shown)
    assert seen == set(photos.keys)


def test_the_map_shows_all_photos_and_a_click_opens_one(tab: Tab, photos: Album) -> None:
    tab.click("#tab-map")
    tab.wait_for("document.querySelector('#plane').width > 300")
    content = json.loads(tab.run("document.querySelector('#content').textContent"))
    points = np.array(content["points"])
    assert points.shape == (160, 2)
    assert points.min(axis=0).tolist() == [0, 0]
    assert points.max(axis=0).tolist() == [4095, 4095]
    # The photo furthest to the right is at the right margin.
    right = int(points[:, 0].argmax())
    tab.run("document.querySelector('#plane').scrollIntoView({block: 'end'})")
    box = tab.run(
        "(({x, y, width, height}) => [x, y, width, height])(document.querySelector('#plane').getBoundingClientRect())"
    )
    x, y, across, down = box
    down_there = y + 40 + (1 - points[right, 1] / 4095) * (down - 80)
    tab.click_at(x + across - 40, down_there)
    tab.wait_for("document.querySelectorAll('#detail .photos .photo').length")
    key = tab.run("document.querySelector('#detail h2').textContent")
    assert abs(points[photos.keys.index(key), 0] - 4095) * (across - 80) / 4095 < 30
    assert found(tab) == photos.nearest(key, 12)
    tab.press("Escape")
    tab.run("document.querySelector('#plane').focus()")
    before = tab.run("document.querySelector('#pointed').textContent")
    tab.press("ArrowLeft")
    tab.press("+")
    after = tab.run("document.querySelector('#pointed').textContent")
    assert after != before
    assert points[photos.keys.index(after), 0] < points[photos.keys.index(key), 0]
    tab.press("Enter")
    tab.wait_for(f"document.querySelector('#detail h2').textContent === {json.dumps(after)}")


def test_the_map_draws_pictures(tab: Tab, tmp_path: Path) -> None:
    tab.click("#tab-map")

    def colours() -> int:
        tab.screenshot(tmp_path / "map.png")
        with Image.open(tmp_path / "map.png") as seen:
            return len(np.unique(np.asarray(seen.convert("RGB")).reshape(-1, 3), axis=0))

    wait_until(lambda: colours() > 1_000)


def test_tabs_show_duplicates_and_failures(tab: Tab, photos: Album) -> None:
    tab.click("#tab-duplicates")
    assert tab.run(
        "[...document.querySelectorAll('main > section')].filter((one) => !one.hidden).map((one) => one.id)"
    ) == ["duplicates"]
    assert labels(tab, "#duplicates .group .photo")[:2] == [f"{photos.keys[1]}, keep", f"{photos.keys[0]}, near 1.000"]
    tab.click("#duplicates .photo")
    tab.wait_for("document.querySelectorAll('#detail .photos .photo').length")
    assert found(tab) == photos.nearest(photos.keys[1], 12)
    tab.press("Escape")
    tab.click("#tab-failures")
    text = tab.run("document.querySelector('#failures').innerText")
    assert "Truncated: 1" in text
    assert MESSAGE in text
    tab.wait_for("document.querySelector('#failures img').naturalWidth > 0")
    tab.press("ArrowRight")
    assert tab.run("document.activeElement.id + document.querySelector('#photos').hidden") == "tab-photosfalse"


def test_a_place_in_the_page_has_an_address(browser: Browser, gallery: Path, photos: Album) -> None:
    tab = browser.open(f"{gallery.as_uri()}#/duplicates/5")
    tab.wait_for("document.querySelectorAll('#detail .photos .photo').length")
    assert tab.run("document.querySelector('#detail h2').textContent") == photos.keys[5]
    assert not tab.run("document.querySelector('#duplicates').hidden")
    tab.close()


def test_it_begins_at_its_top(tab: Tab) -> None:
    tab.run("new Promise((done) => setTimeout(done, 300))")
    assert tab.run("scrollY") == 0


def test_names_and_messages_do_nothing(tab: Tab) -> None:
    open_photo(tab, HOSTILE)
    for name in ("map", "duplicates", "failures", "photos"):
        tab.run(f"document.querySelector('#tab-{name}').click()")
    assert tab.run("document.querySelector('[src=x], [onerror], [onmouseover]')") is None
    assert tab.run("document.scripts.length") == 2
    assert tab.run("document.title").startswith("Stepvec: ")


def test_a_script_of_somebody_else_would_not_run(browser: Browser, gallery: Path) -> None:
    tab = browser.open(gallery.as_uri())
    tab.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')")
    tab.run("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))")
    tab.wait_for("new Promise((done) => setTimeout(() => done(true), 200))")
    assert tab.run("window.ran ?? null") is None
    assert any("Content Security Policy" in problem for problem in tab.problems())
    tab.close()


CONTRAST = """
(() => {
  const probe = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const numbers = (colour) => {
    probe.clearRect(0, 0, 1, 1); probe.fillStyle = colour; probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const light = (channels) => {
    const [r, g, b] = channels.slice(0, 3).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const back = numbers(getComputedStyle(one).backgroundColor);
      if (back[3] === 255) return back;
    }
    return numbers("Canvas");
  };
  const ratio = (one, other) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  const found = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if ((!own && one.id !== "filter") || !one.checkVisibility()) continue;
    if (["SCRIPT", "NOSCRIPT"].includes(one.tagName)) continue;
    const back = light(behind(one));
    found.push([ratio(light(numbers(getComputedStyle(one).color)), back), one.tagName, one.className, one.id]);
    if (one.id !== "filter") continue;
    found.push([ratio(light(numbers(getComputedStyle(one, "::placeholder").color)), back), "placeholder"]);
  }
  const edge = document.querySelector("#filter"), style = getComputedStyle(edge);
  return {text: found, edge: ratio(light(numbers(style.borderTopColor)), light(behind(edge.parentElement)))};
})()
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("how", ["system", "button"])
def test_text_has_the_contrast_of_wcag_aa(browser: Browser, gallery: Path, dark: bool, how: str, width: int) -> None:
    """4.5 for text and 3 for the edges of controls: https://www.w3.org/TR/WCAG22/#contrast-minimum"""
    tab = browser.open(gallery.as_uri(), width=width, dark=dark if how == "system" else not dark)
    if how == "button":
        for _ in range(2 if dark else 1):
            tab.click("#theme")
    back = tab.run("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") is not dark
    counted = 0
    for name in ("photos", "map", "duplicates", "failures"):
        tab.run(f"document.querySelector('#tab-{name}').click()")
        if name == "duplicates":
            tab.click("#duplicates .photo")
            tab.wait_for("document.querySelectorAll('#detail .photos .photo').length")
        measured = tab.run(CONTRAST)
        low = [one for one in measured["text"] if one[0] < 4.5]
        assert low == []
        assert measured["edge"] >= 3
        counted += len(measured["text"])
    assert counted > 100
    tab.close()


def test_nothing_is_wider_than_the_window(tab: Tab) -> None:
    for name in ("photos", "map", "duplicates", "failures"):
        tab.run(f"document.querySelector('#tab-{name}').click()")
        assert tab.run("document.documentElement.scrollWidth - innerWidth") <= 0


def test_what_is_pressed_is_large_enough_for_a_finger(tab: Tab) -> None:
    """24 pixels: https://www.w3.org/TR/WCAG22/#target-size-minimum"""
    small = tab.run(
        "[...document.querySelectorAll('button, input')].filter((one) => one.checkVisibility() && "
        "Math.min(one.offsetWidth, one.offsetHeight) < 24).map((one) => one.outerHTML)"
    )
    assert small == []


def test_of_many_photos_the_pictures_lie_in_a_folder(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepvec.page.writing.IN_ONE_FILE", 50)
    path = write(tmp_path / "gallery.html", album(90))
    assert len(list((tmp_path / "gallery-pictures").iterdir())) == 92
    assert "data:image/webp" not in path.read_text()
    tab = browser.open(path.as_uri())
    tab.wait_for("document.querySelector('.cell img')?.naturalWidth > 0")
    tab.click("#tab-failures")
    tab.wait_for("document.querySelector('#failures img')?.naturalWidth > 0")
    assert tab.problems() == []
    tab.close()
    write(path, album(20))
    assert sorted(entry.name for entry in tmp_path.iterdir() if not entry.name.endswith(".jpg")) == ["gallery.html"]
