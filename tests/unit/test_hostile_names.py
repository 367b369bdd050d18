"""Names of files and keys that want to be more than names, in what the command line writes and uploads."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from local_pipeline.gallery import write_gallery
from local_pipeline.photos import collect_photos, upload_photos
from resilience.corpus.disguises import hostile_keys
from stepvec.client.parquet import write_vectors
from stepvec.errors import InvalidInputError
from stepvec.runs.outcome import FailureReason, ImageFailure
from tests.unit.test_command_line_parts import report, rows


def test_a_gallery_holds_hostile_keys_as_text(tmp_path: Path) -> None:
    keys = list(hostile_keys())
    photo = tmp_path / "photo.png"
    Image.new("RGB", (20, 10), "red").save(photo)
    failures = [ImageFailure(key, key, FailureReason.NOT_AN_IMAGE, f"{{{{7*7}}}} {key}") for key in keys]
    path = tmp_path / "gallery.html"
    model = "efficientnet_lite0/ab3352bc3c78/standard-1"
    write_gallery(
        path,
        photos=dict.fromkeys(keys, photo),
        rows=rows(keys),
        report=report(embedded=len(keys), model=model),
        failures=failures,
    )
    page = path.read_text(encoding="utf-8")
    assert len(re.findall(r"<script\b", page)) == page.count("</script>") == 2
    assert "<img src=x" not in page
    (said,) = re.findall(r'<script type="application/json" id="content">(.*)</script>', page)
    content = json.loads(said)
    assert set(content["keys"]) == set(keys)
    messages = {failure["message"] for failure in content["failures"]["failures"]}
    assert messages == {failure.message for failure in failures}


def test_hostile_keys_come_back_from_parquet(tmp_path: Path) -> None:
    keys = list(hostile_keys())
    write_vectors(tmp_path / "vectors.parquet", rows(keys))
    assert pq.read_table(tmp_path / "vectors.parquet")["key"].to_pylist() == keys
    assert [entry.name for entry in tmp_path.iterdir()] == ["vectors.parquet"]


class Bucket:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:
        self.objects[Key] = Body


ODD_NAMES = ["new\nline", "-rf", "$(touch x)", "'quote\"", "[red]x[]", "..jpg", " ", "\x1b[31m"]


@pytest.mark.parametrize("name", [f"{name}.jpg" for name in ODD_NAMES])
def test_a_file_of_any_name_is_uploaded_under_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / name).write_bytes(b"data")
    bucket = Bucket()
    upload_photos(bucket, "images", collect_photos([tmp_path / "p"]), lambda: None)
    assert bucket.objects == {f"photos/p/{name}": b"data"}


def test_a_name_that_is_no_unicode_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"data")
    with pytest.raises(InvalidInputError, match=r"caf\\udce9.jpg' is not valid Unicode"):
        collect_photos([tmp_path / "p"])


def test_a_path_too_long_for_a_key_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    for _ in range(5):
        folder = folder / ("d" * 240)
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_bytes(b"data")
    with pytest.raises(InvalidInputError, match="bytes long as a key"):
        collect_photos([tmp_path / "p"])


def test_a_file_that_is_gone_before_its_upload_is_named(tmp_path: Path) -> None:
    photos = {"photos/gone.jpg": tmp_path / "gone.jpg"}
    with pytest.raises(InvalidInputError, match=r"gone.jpg' cannot be read: No such file"):
        upload_photos(Bucket(), "images", photos, lambda: None)
