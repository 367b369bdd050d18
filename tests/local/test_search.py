"""From a run to what is alike: export, index, search, duplicates and the page of an export, one after the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.local.conftest import Pipeline, photo
from tests.local.test_client import stepvec
from tests.local.test_view import viewed


@pytest.fixture(scope="module")
def folder(pipeline: Pipeline) -> str:
    """Four photos, and one of them once more with other bytes."""
    folder = pipeline.folder()
    for number in range(4):
        pipeline.put(f"{folder}/{number}.jpg", photo(4000 + number))
    pipeline.put(f"{folder}/copy.jpg", photo(4002, quality=90))
    assert pipeline.run({"Paths": [folder]}).counts() == {"embedded": 5}
    return folder


@pytest.fixture(scope="module")
def vectors(pipeline: Pipeline, folder: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of them with its index."""
    out = tmp_path_factory.mktemp("search") / "vectors"
    for command in (("export", folder, "--out", str(out)), ("index", str(out))):
        done = stepvec(pipeline, *command)
        assert done.returncode == 0, done.stderr
    return out


def found(pipeline: Pipeline, *arguments: str) -> Any:
    done = stepvec(pipeline, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_key_and_a_photo_find_what_is_like_them(
    pipeline: Pipeline, folder: str, vectors: Path, tmp_path: Path
) -> None:
    by_key = found(pipeline, "search", f"{folder}/2.jpg", "--index", str(vectors), "--top", "4")
    assert by_key["hits"][0]["key"] == f"{folder}/copy.jpg"
    assert {hit["key"] for hit in by_key["hits"][1:]} == {f"{folder}/{number}.jpg" for number in (0, 1, 3)}
    file = tmp_path / "query.jpg"
    file.write_bytes(photo(4002))
    by_photo = found(pipeline, "search", str(file), "--index", str(vectors), "--top", "2")
    assert [hit["key"] for hit in by_photo["hits"]] == [f"{folder}/2.jpg", f"{folder}/copy.jpg"]
    assert by_photo["hits"][0]["similarity"] > 0.999


def test_without_an_index_the_table_is_searched(pipeline: Pipeline, folder: str, tmp_path: Path) -> None:
    answer = found(pipeline, "search", f"{folder}/2.jpg", "--index", str(tmp_path / "none"), "--top", "1")
    assert [hit["key"] for hit in answer["hits"]] == [f"{folder}/copy.jpg"]


def test_the_copy_is_the_one_duplicate(pipeline: Pipeline, folder: str, vectors: Path) -> None:
    groups = found(pipeline, "duplicates", str(vectors), "--threshold", "0.97")["groups"]
    (pair,) = ({member["key"] for member in group["members"]} for group in groups)
    assert pair == {f"{folder}/2.jpg", f"{folder}/copy.jpg"}


def test_the_page_of_an_export_shows_it_as_it_was_and_reads_no_table(
    pipeline: Pipeline, folder: str, vectors: Path
) -> None:
    keys = sorted([*(f"{folder}/{number}.jpg" for number in range(4)), f"{folder}/copy.jpg"])
    pipeline.delete_row(f"{folder}/copy.jpg")
    with viewed(pipeline, "--index", str(vectors)) as seen:
        assert seen.content["keys"] == keys
        near = json.loads(seen.get(f"near/{keys.index(f'{folder}/2.jpg')}"))
        assert keys[near["photos"][0]] == f"{folder}/copy.jpg"
        assert seen.get("pictures/0")[8:12] == b"WEBP"
    with viewed(pipeline, f"{folder}/2.jpg", "--index", str(vectors)) as seen:
        assert seen.content["keys"] == [f"{folder}/2.jpg"]
    refused = stepvec(pipeline, "view", "nothing", "--index", str(vectors))
    assert "has no images there" in " ".join(refused.stderr.split())
