"""The limits of an image are settings, of a local run too, and a failure names the one that it met."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.local.conftest import photo
from tests.local.test_cli import STEPVEC, WITHOUT_AWS


def test_a_local_run_refuses_what_is_larger_than_its_settings(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name, size, kind in (
        ("small.png", (200, 100), "PNG"),
        ("wide.png", (300, 200), "PNG"),
        ("wider.png", (400, 300), "PNG"),
        ("9.bmp", (90, 90), "BMP"),
    ):
        (photos / name).write_bytes(photo(1, size=size, kind=kind))

    settings = {"max_image_pixels": 50_000, "max_image_bytes": 500_000}
    (photos / "heavy.jpg").write_bytes(photo(2, size=(80, 60)) + bytes(500_000))
    result = subprocess.run(
        [STEPVEC, "local", "run", photos, "--out", out, "--max-failures", "3"],
        env={**WITHOUT_AWS, "STEPVEC_SETTINGS": json.dumps(settings)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    failures = {one["key"].rpartition("/")[2]: one for one in map(json.loads, (out / "failures.jsonl").open())}
    assert {name: one["reason"] for name, one in failures.items()} == dict.fromkeys(
        ("heavy.jpg", "wide.png", "wider.png"), "TooLarge"
    )
    assert failures["wide.png"]["message"] == "300 x 200 = 60,000 pixels; max_image_pixels is 50,000."
    assert "; max_image_pixels is 50,000." in failures["wider.png"]["message"]
    assert failures["heavy.jpg"]["message"].endswith("bytes; max_image_bytes is 500,000.")
