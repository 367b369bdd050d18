"""Pure parts of the command line: photos' keys, neighbours, the Parquet file, the gallery."""

import dataclasses
import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from local_pipeline.gallery import write_gallery
from local_pipeline.photos import collect_photos
from stepvec.client.parquet import write_vectors
from stepvec.client.runs import poll_pauses
from stepvec.errors import InvalidInputError
from stepvec.neighbours.exact import nearest_others
from stepvec.rows.item import VECTOR_TYPES, VectorItem, VectorType
from stepvec.rows.vectors import encode_vector
from stepvec.runs.images import SuffixRule
from stepvec.runs.layout import S3Uri, check_run_name
from stepvec.runs.outcome import FailureReason, ImageFailure
from stepvec.runs.reports import RunCost, RunReport
from stepvec_cli.calibrate import photos_under, spread
from stepvec_cli.views.plan import ignored_lines
from tests.fakes import MemoryStore


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10), "red").save(path, "PNG")


def test_a_folders_photos_keep_their_paths_below_its_name(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1.jpg", tmp_path / "a" / "deep" / "2.PNG")
    (tmp_path / "a" / "notes.txt").write_text("x")
    assert collect_photos([tmp_path / "a"]) == {
        "photos/a/1.jpg": tmp_path / "a" / "1.jpg",
        "photos/a/deep/2.PNG": tmp_path / "a" / "deep" / "2.PNG",
    }


def test_photos_to_calibrate_on_are_spread_over_the_prefix_and_not_its_first_page() -> None:
    store = MemoryStore(page_size=10)
    for folder, count in (("images", 95), ("images-old", 5)):
        for number in range(count):
            store.add_image("b", f"{folder}/{number:02d}.{'txt' if number % 5 == 0 else 'jpg'}")
    found = list(photos_under(store, S3Uri("b", "images")))
    assert found == [f"images/{number:02d}.jpg" for number in range(95) if number % 5]
    assert spread(found, 4) == ["images/01.jpg", "images/24.jpg", "images/48.jpg", "images/72.jpg"]
    assert spread(found[:3], 4) == found[:3]
    assert list(photos_under(store, S3Uri("b", "images/"), pages=2)) == found[:16]
    assert list(photos_under(store, S3Uri("b", "ima"))) == []


def test_photos_of_one_name_are_told_apart(tmp_path: Path) -> None:
    touch(*(tmp_path / folder / "x" / "1.jpg" for folder in ("a", "b", "c")))
    folders = [tmp_path / folder / "x" for folder in ("a", "b", "c")]
    assert list(collect_photos(folders)) == ["photos/x/1.jpg", "photos/x-2/1.jpg", "photos/x-3/1.jpg"]
    files = [folder / "1.jpg" for folder in folders]
    assert list(collect_photos(files)) == ["photos/1.jpg", "photos/1-2.jpg", "photos/1-3.jpg"]


def test_what_is_not_a_photo_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for path, named in (
        (tmp_path / "gone", "does not exist"),
        (tmp_path / "notes.txt", "not end like"),
        (tmp_path, "no photo"),
    ):
        with pytest.raises(InvalidInputError, match=named):
            collect_photos([path])


def test_neighbours_are_the_nearest_by_cosine_without_oneself() -> None:
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(1500, 8)).astype(np.float32)
    vectors[7] = 3 * vectors[1200]
    indices, cosines = nearest_others(vectors, 4)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarities = unit @ unit.T
    np.fill_diagonal(similarities, -2)
    assert indices.shape == cosines.shape == (1500, 4)
    assert indices[7, 0] == 1200
    assert indices[1200, 0] == 7
    np.testing.assert_allclose(cosines, -np.sort(-similarities, axis=1)[:, :4], atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_vectors_have_few_neighbours(count: int) -> None:
    indices, _ = nearest_others(np.ones((count, 3), np.float32), 5)
    assert indices.shape == (count, max(0, count - 1))


def rows(keys: list[str], data_type: VectorType = "float16") -> list[VectorItem]:
    encoded = [encode_vector(np.arange(4) + number, data_type) for number in range(len(keys))]
    return [
        VectorItem(key, vector.data, data_type, 4, datetime.now(UTC), key, "e", "m", "r", scale=vector.scale)
        for key, vector in zip(keys, encoded, strict=True)
    ]


@pytest.mark.parametrize("data_type", VECTOR_TYPES)
def test_parquet_holds_float32_vectors_of_fixed_size(tmp_path: Path, data_type: VectorType) -> None:
    keys, vectors = write_vectors(tmp_path / "v.parquet", rows(["a", "b", "c"], data_type))
    table = pq.read_table(tmp_path / "v.parquet")
    assert table["key"].to_pylist() == keys == ["a", "b", "c"]
    assert str(table.schema.field("vector").type) == "fixed_size_list<element: float not null>[4]"
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist()), vectors)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, np.arange(4) + np.arange(3)[:, None], atol=0.02)


def test_no_rows_make_no_parquet(tmp_path: Path) -> None:
    keys, _ = write_vectors(tmp_path / "v.parquet", [])
    assert keys == []
    assert not (tmp_path / "v.parquet").exists()


def report(**changes: object) -> RunReport:
    empty: dict[str, object] = {field.name: 0 for field in dataclasses.fields(RunReport)}
    return RunReport(**{**empty, "cost": RunCost({}, {}, 0, ""), "message": "m", "model": "m", **changes})  # type: ignore[arg-type]


MODEL = "efficientnet_lite0/ab3352bc3c78/standard-1"


def test_the_gallery_holds_photos_and_failures_and_their_names_as_data(tmp_path: Path) -> None:
    photos = {key: tmp_path / f"{number}.png" for number, key in enumerate(["a.png", "</script><b>.png", "c.png"])}
    for file in photos.values():
        Image.new("RGB", (20, 10), "red").save(file)
    failures = [ImageFailure("<i>bad</i>.jpg", "x", FailureReason.EMPTY, "no bytes")]
    write_gallery(
        tmp_path / "gallery.html",
        photos=photos,
        rows=rows(list(photos)),
        report=report(embedded=3, model=MODEL),
        failures=failures,
    )
    page = (tmp_path / "gallery.html").read_text()
    assert page.count("data:image/webp;base64,") == 3
    assert page.count("</script>") == 2
    assert "<i>bad" not in page
    (content,) = re.findall(r'<script type="application/json" id="content">(.*)</script>', page)
    assert json.loads(content)["failures"]["failures"][0]["key"] == "<i>bad</i>.jpg"


def test_the_gallery_runs_no_script_but_its_own(tmp_path: Path) -> None:
    nonces = []
    for _ in range(2):
        path = tmp_path / "gallery.html"
        write_gallery(path, photos={}, rows=[], report=report(model=MODEL), failures=[])
        page = path.read_text()
        (policy,) = re.findall(r'Content-Security-Policy"\s+content="([^"]*)"', page)
        policy = html.unescape(policy)
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        (nonce,) = set(re.findall(r"'nonce-([^']+)'", policy))
        assert page.count(f'nonce="{nonce}"') == len(re.findall(r"<(?:script|style)\b", page)) - 1 == 2
        assert not re.search(r"<[^>]*\s(on\w+|style)=", page.partition("<script")[0])
        nonces.append(nonce)
    assert nonces[0] != nonces[1]


def test_linked_folders_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    touch(tmp_path / "photos" / "1.jpg", tmp_path / "elsewhere" / "2.jpg")
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "self").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "3.jpg").symlink_to(tmp_path / "elsewhere" / "2.jpg")
    (tmp_path / "photos" / "lost.jpg").symlink_to(tmp_path / "nowhere")
    ignored: Counter[str] = Counter()
    keys = sorted(collect_photos([tmp_path / "photos"], ignored))
    assert keys == ["photos/photos/1.jpg", "photos/photos/3.jpg", "photos/photos/linked/2.jpg"]
    assert ignored == {"(not a file)": 1}


def test_what_is_left_out_of_a_folder_is_counted_by_suffix(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1.jpg")
    for name in ("film.MOV", "deep/film.mov", "notes.txt", "README"):
        (tmp_path / "a" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "a" / name).write_text("x")
    ignored: Counter[str] = Counter()
    assert list(collect_photos([tmp_path / "a"], ignored)) == ["photos/a/1.jpg"]
    assert ignored == {"mov": 2, "txt": 1, "(none)": 1}
    assert list(ignored_lines(ignored)) == ["Ignored by suffix: 4 (mov 2, (none) 1, txt 1)"]
    assert list(ignored_lines({})) == []


def test_suffixes_say_what_is_a_photo(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1.jpg", tmp_path / "a" / "__MACOSX" / "2.jpg")
    for name in ("3.raw", "4", "notes.txt", "._1.jpg"):
        (tmp_path / "a" / name).write_text("x")
    ignored: Counter[str] = Counter()
    found = collect_photos([tmp_path / "a"], ignored, suffixes=SuffixRule(("raw",)))
    assert list(found) == ["photos/a/1.jpg", "photos/a/3.raw"]
    assert ignored == {"(none)": 1, "txt": 1, "(AppleDouble)": 2}
    assert len(collect_photos([tmp_path / "a"], suffixes=SuffixRule(("*",)))) == 4
    assert list(collect_photos([tmp_path / "a" / "4"], suffixes=SuffixRule(("(none)",)))) == ["photos/4"]
    with pytest.raises(InvalidInputError, match="does not end like an image") as refused:
        collect_photos([tmp_path / "a" / "3.raw"])
    assert "--suffix" in refused.value.remedy
    store = MemoryStore()
    for key in ("a/1.jpg", "a/2.raw", "a/folder/"):
        store.add_image("b", key, size=0 if key.endswith("/") else 1)
    assert list(photos_under(store, S3Uri("b", "a"), SuffixRule(("*",)))) == ["a/1.jpg", "a/2.raw"]


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a" / "1.jpg", tmp_path / "a" / "closed" / "2.jpg")
    read = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name == "closed":  # root, as whom tests may run, reads everything
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(InvalidInputError, match=r"closed' cannot be read: Permission denied"):
        collect_photos([tmp_path / "a"])


def test_aws_is_asked_less_and_less_often_and_this_machine_often() -> None:
    pauses = list(islice(poll_pauses(local=False), 60))
    assert pauses[0] == 2.0
    assert pauses == sorted(pauses)
    assert max(pauses) == 15.0
    assert set(islice(poll_pauses(local=True), 60)) == {0.25}


@pytest.mark.parametrize(
    "name", ["", "a b", "a?", "a*", "a#b", "a/b", "a\n", "a\u2028", "a:b", "\x7f", "a" * 81, "<", '"']
)
def test_a_run_name_that_aws_refuses_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="The run's name"):
        check_run_name(name)


def test_a_run_name_that_aws_takes_is_taken() -> None:
    for name in ("a" * 80, "my-run_1.2", "Läufe", "run(1)", "a+b=c@d!"):
        check_run_name(name)
