"""Images, layout, model names, environment, cost: small pure things."""

from dataclasses import dataclass

import pytest

from stepvec.adapters.environment import read_environment
from stepvec.errors import ConfigurationError, InvalidInputError, RecordError, StepvecError
from stepvec.rows.model import ModelCard, ModelIdentity
from stepvec.runs.images import ONLY_IMAGES, image_id, suffix
from stepvec.runs.layout import RunLayout, S3Uri, parse_shard_uri
from stepvec.runs.outcome import FAILURE_MESSAGE_CHARACTERS, FailureReason, ImageFailure


@pytest.mark.parametrize("key", ["a.jpg", "a/b.JPEG", "x.Png", "ü/ß.webp", "a.b.GIF", "a\nb.bmp", "1.tif", "1.TIFF"])
def test_image_suffixes_count_in_any_case(key: str) -> None:
    assert not ONLY_IMAGES.ignored_as(key, 1)


@pytest.mark.parametrize("key", ["a.txt", "jpg", "a/.jpg", "a.jpg/", "a.jpg.bak", "", "photos/"])
def test_other_keys_are_no_images(key: str) -> None:
    assert ONLY_IMAGES.ignored_as(key, 1)


def test_suffix_of_a_folder_with_a_dot_is_not_the_files() -> None:
    assert suffix("a.jpg/readme") == ""


def test_image_ids() -> None:
    assert image_id("a/1.jpg", "key") == "a/1.jpg"
    assert image_id("a/1.jpg", "stem") == "1"
    assert image_id("a/1.2.jpg", "stem") == "1.2"


def test_a_shards_uri_names_its_run_and_number() -> None:
    layout = RunLayout("work", "run-7")
    assert parse_shard_uri(str(layout.shard(12))) == (layout, 12)


@pytest.mark.parametrize("uri", ["s3://work/runs/a/listing/1.jsonl.gz", "s3://work/runs/a/shards/x.jsonl.gz"])
def test_another_uri_is_no_shard(uri: str) -> None:
    with pytest.raises(RecordError, match="not the URI of a shard"):
        parse_shard_uri(uri)


@pytest.mark.parametrize("uri", ["work/key", "s3://", "s3://work", "s3:///key", "http://a/b", ""])
def test_what_is_no_s3_uri_is_refused(uri: str) -> None:
    with pytest.raises(InvalidInputError):
        S3Uri.parse(uri)


def test_model_names_round_trip() -> None:
    identity = ModelCard("resnet18_v2", "a81db45fd7b7" + "0" * 52, "file", "Apache-2.0").identity("standard-1")
    assert str(identity) == "resnet18_v2/a81db45fd7b7/standard-1"
    assert ModelIdentity.parse(str(identity)) == identity
    assert identity.dimension == 512


@pytest.mark.parametrize("name", ["", "resnet18_v2", "resnet18_v2/abc/standard-1", "vgg/a81db45fd7b7/standard-1"])
def test_what_names_no_model_is_refused(name: str) -> None:
    with pytest.raises(RecordError, match="not the name of a model"):
        ModelIdentity.parse(name)


def test_an_unknown_preprocessing_is_refused_with_the_known_ones() -> None:
    card = ModelCard("resnet18_v2", "0" * 64, "file", "Apache-2.0")
    with pytest.raises(ConfigurationError, match="standard-1, sample-1"):
        card.identity("standard-9")


@dataclass(frozen=True)
class Settings:
    table: str
    shard_size: int
    rate: float = 0.5


def test_environment_is_typed() -> None:
    assert read_environment(Settings, {"STEPVEC_TABLE": "t", "STEPVEC_SHARD_SIZE": "7"}) == Settings("t", 7, 0.5)


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"STEPVEC_SHARD_SIZE": "7"}, "STEPVEC_TABLE"),
        ({"STEPVEC_TABLE": "", "STEPVEC_SHARD_SIZE": "7"}, "STEPVEC_TABLE"),
        ({"STEPVEC_TABLE": "t", "STEPVEC_SHARD_SIZE": "many"}, "STEPVEC_SHARD_SIZE"),
    ],
)
def test_a_wrong_variable_is_named(environ: dict[str, str], variable: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        read_environment(Settings, environ)


def test_a_failures_message_is_bounded() -> None:
    failure = ImageFailure("k", "i", FailureReason.TRUNCATED, "x" * 10_000)
    assert len(failure.message) == FAILURE_MESSAGE_CHARACTERS


def test_an_errors_text_says_what_and_what_to_do() -> None:
    assert str(StepvecError("It broke.", remedy="Mend it.")) == "It broke. Mend it."
