"""`stepvec index`, `search`, `duplicates` and `outliers`, on an export of vectors and on photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from local_pipeline.installation import MODEL_DIRECTORY
from local_pipeline.pictures import from_folders
from local_pipeline.query import embed_query
from stepvec.client.pictures import pictures
from stepvec.client.vectors import VectorBatch
from stepvec.errors import ConfigurationError, InvalidInputError, OutputError
from stepvec.neighbours import table
from stepvec.neighbours.table import nearest_in_batches
from stepvec.weights.model_directory import read_model_card
from stepvec_cli.duplicates import duplicates
from stepvec_cli.index import index
from stepvec_cli.outliers import outliers
from stepvec_cli.search import search
from stepvec_cli.text import printable
from testkit.exports import write_export
from tests.neighbours.conftest import seeded_vectors

MARKUP = "photos/<img src=x onerror=alert(1)>.jpg"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """30 images, of which the last is a copy of the first and has a name that is markup."""
    vectors = seeded_vectors(30)
    vectors[29] = vectors[0]
    folder = tmp_path / "vectors"
    write_export(folder, [f"photos/{row:02}.jpg" for row in range(29)] + [MARKUP], vectors, etags=["e"] * 30)
    index([folder])
    return folder


def photo(path: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((300, 300), Image.Resampling.BICUBIC).save(path, quality=95)
    return path


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_index_says_what_it_did(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index([export], rebuild=True)
    assert "30 vectors of resnet18_v2/a81db45fd7b7/standard-1: 30 added" in capsys.readouterr().out
    index([export], as_json=True)
    assert answer(capsys) == {"added": 0, "changed": 0, "removed": 0, "rows": 30, "copied": 0}


def test_a_key_is_searched_for_and_is_not_found_itself(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    search("photos/00.jpg", index=export, top=3, as_json=True)
    found = answer(capsys)
    assert (found["query"], found["recall"], len(found["hits"])) == ("photos/00.jpg", 1.0, 3)
    assert found["hits"][0] == {"key": MARKUP, "image_id": MARKUP, "similarity": 1.0}
    search("photos/00.jpg", index=export, top=1)
    assert capsys.readouterr().out == f"1.0000  {MARKUP}\n"


def test_what_is_neither_file_nor_key_is_said(export: Path) -> None:
    with pytest.raises(InvalidInputError, match="no file here, and no key"):
        search("photos/nobody.jpg", index=export)


def test_a_page_shows_keys_as_text(export: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    photo(photos / "00.jpg", 1)
    page = tmp_path / "page.html"
    search("photos/00.jpg", index=export, top=5, html=page, photos=[photos])
    text = page.read_text()
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text
    assert text.count("data:image/webp") == 1
    assert text.count("no picture") == 5


def test_a_photo_of_another_model_is_refused(export: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="The vectors are of resnet18_v2") as refused:
        search(str(photo(tmp_path / "query.jpg", 1)), index=export)
    assert "key of an image" in refused.value.remedy


def test_a_photo_is_embedded_as_the_worker_does_and_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(read_model_card(MODEL_DIRECTORY).identity("standard-1"))
    # A name that would be two lines to the worker's process.
    files = [photo(tmp_path / name, seed) for seed, name in enumerate(("one.jpg", "two\nlines.jpg", "three.jpg"))]
    vectors = np.stack([embed_query(file, model) for file in files])
    write_export(tmp_path / "vectors", [file.name for file in files], vectors, model=model)
    index([tmp_path / "vectors"])
    capsys.readouterr()
    for file in files:
        search(str(file), index=tmp_path / "vectors", top=1, as_json=True)
        (hit,) = answer(capsys)["hits"]
        assert hit["key"] == file.name
        assert hit["similarity"] >= 0.9999
    (tmp_path / "no.jpg").write_text("no photo")
    with pytest.raises(InvalidInputError, match="NotAnImage"):
        search(str(tmp_path / "no.jpg"), index=tmp_path / "vectors")


def test_duplicates_are_told_and_written_in_every_form(
    export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    files = [tmp_path / f"groups.{suffix}" for suffix in ("parquet", "json", "html")]
    photos = tmp_path / "photos"
    photos.mkdir()
    photo(photos / "00.jpg", 1)
    duplicates(export, threshold=0.999, out=files, photos=[photos], as_json=True)
    found = answer(capsys)
    (group,) = found["groups"]
    assert (found["images"], found["threshold"]) == (30, 0.999)
    assert [(member["key"], member["kind"]) for member in group["members"]] == [
        ("photos/00.jpg", "kept"),
        (MARKUP, "exact"),
    ]
    assert json.loads(files[1].read_text()) == found
    assert "&lt;img src=x" in files[2].read_text()
    with pytest.raises(OutputError, match="not a form"):
        duplicates(export, out=[tmp_path / "groups.csv"])


def test_outliers_are_told(export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    outliers(export, top=4, html=tmp_path / "outliers.html", photos=None)
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert (tmp_path / "outliers.html").read_text().count("nearest") >= 4


def test_a_table_is_searched_exactly_and_not_beyond_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = seeded_vectors(50)
    names = [f"{row:02}" for row in range(50)]
    batches = [
        VectorBatch(names[at : at + 8], [f"k{name}" for name in names[at : at + 8]], vectors[at : at + 8] * 3)
        for at in range(0, 50, 8)
    ]
    found = nearest_in_batches(batches, vectors[11], 4, without="11")
    expected = [row for row in np.argsort(-(vectors @ vectors[11])).tolist() if row != 11][:4]
    assert [image.image_id for image in found] == [names[row] for row in expected]
    assert [image.key for image in found] == [f"k{names[row]}" for row in expected]
    monkeypatch.setattr(table, "EXACT_BELOW", 40)
    with pytest.raises(InvalidInputError, match="40 rows or more"):
        nearest_in_batches(batches, vectors[11], 4)


def test_pictures_are_those_of_the_keys(tmp_path: Path) -> None:
    for folder, seed in (("a", 1), ("b", 2)):
        (tmp_path / "mine" / folder).mkdir(parents=True)
        photo(tmp_path / "mine" / folder / "x.jpg", seed)
    read = from_folders([tmp_path / "mine"])
    assert read("photos/mine/a/x.jpg") == (tmp_path / "mine" / "a" / "x.jpg").read_bytes()
    assert read("elsewhere/b/x.jpg") == (tmp_path / "mine" / "b" / "x.jpg").read_bytes()
    assert read("elsewhere/x.jpg") is None
    assert read("photos/mine/a/y.jpg") is None
    assert list(pictures(["photos/mine/a/x.jpg", "gone.jpg"], read)) == ["photos/mine/a/x.jpg"]


def test_keys_are_printed_in_one_line() -> None:
    assert printable("ü\n\x1b[31m.jpg") == "ü\\n\\x1b[31m.jpg"
