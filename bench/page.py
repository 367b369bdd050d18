"""Frame times of the page of 2,000 photos while it is scrolled, in headless Chromium, and what it takes to open.

    .venv/bin/python -m bench.page

The photos are the demo's sixty, again and again; the vectors are seeded.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from local_pipeline.installation import ROOT
from testkit.browser import Browser, Tab, find_browser
from testkit.pages import album, write

PHOTOS: Final = 2_000
PICTURES: Final = ROOT / "photos" / "wardrobe"
STEP_PIXELS: Final = 60
"""A frame: some 3,600 pixels a second, as a wheel that is turned fast."""
SCROLL: Final = """
(async () => {
  const times = [], end = document.documentElement.scrollHeight - innerHeight;
  let before = await new Promise(requestAnimationFrame);
  for (let top = 0; top < end && times.length < %d; top += %d) {
    scrollTo(0, top);
    const now = await new Promise(requestAnimationFrame);
    times.push(now - before);
    before = now;
  }
  return times;
})()
"""
MOST_FRAMES: Final = 900


def frame_times(tab: Tab, step: int = STEP_PIXELS) -> Sequence[float]:
    """Milliseconds between frames, while the page is scrolled by `step` pixels in each."""
    times: list[float] = tab.run(SCROLL % (MOST_FRAMES, step))
    return times


def told(name: str, times: Sequence[float]) -> str:
    """What the times were, in a line."""
    ordered = sorted(times)
    slow = sum(one > 50 for one in times)
    return (
        f"{name}: {len(times)} frames, median {statistics.median(times):.1f} ms, "
        f"95 % {ordered[int(0.95 * len(ordered))]:.1f} ms, longest {ordered[-1]:.1f} ms, over 50 ms: {slow}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--photos", type=int, default=PHOTOS)
    photos = parser.parse_args().photos
    path: Any = find_browser()
    with tempfile.TemporaryDirectory() as folder, Browser(path) as browser:
        began = time.perf_counter()
        page = write(Path(folder) / "gallery.html", album(photos, 1280), [], sorted(PICTURES.rglob("*.jpg")))
        print(f"{photos:,} photos written in {time.perf_counter() - began:.1f} s, {page.stat().st_size / 1e6:.1f} MB")
        for width, height in ((1280, 800), (390, 844)):
            began = time.perf_counter()
            tab = browser.open(page.as_uri(), width=width, height=height)
            tab.wait_for("document.querySelector('.cell img')?.naturalWidth")
            print(f"{width} pixels: first picture after {time.perf_counter() - began:.2f} s", *tab.problems())
            print(told(f"{width} pixels, scrolled", frame_times(tab)))
            tab.close()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")


if __name__ == "__main__":
    main()
