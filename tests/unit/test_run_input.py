import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepvec.errors import InvalidInputError, RecordError
from stepvec.runs.run_input import FIELDS, normalise_prefixes, parse_normal_form, parse_run_input


def parse(document: Any) -> Any:
    return parse_run_input(document, image_bucket="images", work_bucket="work", default_shard_size=5000)


def test_the_original_samples_input_works_as_is() -> None:
    parsed = parse({"Paths": ["images"]})
    assert parsed.prefixes == ("images/",)
    assert (parsed.image_id, parsed.shard_size, parsed.reembed, parsed.max_failures) == ("key", 5000, False, 0)


@pytest.mark.parametrize(
    ("paths", "prefixes"),
    [
        (["a", "b/"], ("a/", "b/")),
        (["/a/"], ("/a/",)),
        (["/a", "a//b"], ("/a/", "a//b/")),
        (["s3://images//a/"], ("/a/",)),
        (["s3://images//"], ("/",)),
        (["//"], ("//",)),
        (["a/b", "a"], ("a/",)),
        (["a", "ab"], ("a/", "ab/")),
        (["a", "a/"], ("a/",)),
        (["s3://images/x/y"], ("x/y/",)),
        (["s3://images"], ("",)),
        (["/"], ("",)),
        (["/", "a"], ("",)),
    ],
)
def test_prefixes_end_in_a_slash_and_none_lies_within_another(paths: list[str], prefixes: tuple[str, ...]) -> None:
    assert parse({"Paths": paths}).prefixes == prefixes


@given(st.lists(st.text("ab/", min_size=1, max_size=6).map(lambda text: text + "/")), st.text("ab/", max_size=8))
def test_a_key_lies_under_exactly_one_normalised_prefix_if_under_any(prefixes: list[str], key: str) -> None:
    matching = [prefix for prefix in normalise_prefixes(prefixes) if key.startswith(prefix)]
    assert len(matching) == any(key.startswith(prefix) for prefix in prefixes)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({}, "Paths"),
        ([], "not a JSON object"),
        ("images", "not a JSON object"),
        ({"Paths": "images"}, "Paths is 'images'"),
        ({"Paths": []}, "Paths is []"),
        ({"Paths": [""]}, "Paths[0]"),
        ({"Paths": ["a", 1]}, "Paths[1]"),
        ({"Paths": ["s3://other/a"]}, "another bucket (s3://other)"),
        ({"Paths": ["https://images/a"]}, "Paths[0]"),
        ({"Paths": ["a"], "ShardSize": 0}, "ShardSize is 0"),
        ({"Paths": ["a"], "ShardSize": "x"}, "ShardSize is 'x'"),
        ({"Paths": ["a"], "ShardSize": True}, "ShardSize is True"),
        ({"Paths": ["a"], "ShardSize": 10**9}, "ShardSize"),
        ({"Paths": ["a"], "ShardSize": 1.5}, "ShardSize"),
        ({"Paths": ["a"], "Reembed": 1}, "Reembed is 1"),
        ({"Paths": ["a"], "MaxFailures": -1}, "MaxFailures is -1"),
        ({"Paths": ["a"], "ImageId": "name"}, "ImageId is 'name'"),
        ({"Paths": ["a"], "Manifest": "s3://work/m"}, "both"),
        ({"Manifest": "m.jsonl"}, "S3 URI"),
        ({"Manifest": 3}, "Manifest is 3"),
        ({"Manifest": "s3://169.254.169.254/latest"}, "another bucket"),
    ],
)
def test_a_wrong_field_is_named_and_has_a_remedy(document: Any, named: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse(document)
    assert named in caught.value.message
    assert len(caught.value.remedy) > 10


def test_an_unknown_field_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(InvalidInputError, match="'shardsize'.*Did you mean ShardSize"):
        parse({"Paths": ["a"], "shardsize": 5})


@pytest.mark.parametrize(
    "document",
    [
        {"Paths": ["b", "a/b"], "ShardSize": 7, "Reembed": True, "MaxFailures": 3, "ImageId": "stem"},
        {"Paths": ["/"]},
        {"Manifest": "s3://work/list.jsonl"},
    ],
)
def test_the_normal_form_is_itself_a_valid_input_of_the_same_meaning(document: Any) -> None:
    parsed = parse(document)
    assert parse(parsed.to_document()) == parsed


@pytest.mark.parametrize("path", ["a", "/a", "s3://images//a", "s3://images//", "s3://x://y", "//", "a//", "/"])
def test_a_path_means_the_same_when_the_run_reads_it_again(path: str) -> None:
    try:
        once = parse({"Paths": [path]})
    except InvalidInputError:
        # Of another bucket, without its URI.
        once = parse({"Paths": [f"s3://images/{path}"]})
    again = parse_normal_form(json.dumps(once.to_document()).encode(), where="input.json")
    assert (again.prefixes, again.objects) == (once.prefixes, once.objects)
    assert (once.objects == frozenset()) is path.endswith("/")


@pytest.mark.parametrize(
    ("suffixes", "more"),
    [
        ("*", ("*",)),
        (["*", "raw"], ("*",)),
        ([".RAW", "jpg", "raw"], ("raw",)),
        (["(none)"], ("(none)",)),
        ([], ()),
    ],
)
def test_suffixes_are_read_in_any_spelling(suffixes: Any, more: tuple[str, ...]) -> None:
    parsed = parse({"Paths": ["a"], "Suffixes": suffixes})
    assert parsed.suffixes.more == more
    assert parse(parsed.to_document()).suffixes == parsed.suffixes


@pytest.mark.parametrize("suffixes", [5, [5], [""], ["a b"], ["tar.gz"], ["x/y"], ["a,b"], ["x" * 17], {"a": 1}, None])
def test_what_is_not_a_suffix_is_refused(suffixes: Any) -> None:
    with pytest.raises(InvalidInputError, match="^Suffixes"):
        parse({"Paths": ["a"], "Suffixes": suffixes})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"Paths": ["a/"]}',
        b'{"Paths": [1], "ShardSize": 5}',
        b'{"Manifest": 5, "ShardSize": 5}',
    ],
)
def test_what_is_not_the_input_of_a_run_is_refused_by_name(text: bytes) -> None:
    with pytest.raises(RecordError, match=r"s3://work/runs/r/input.json is not the input of a run"):
        parse_normal_form(text, where="s3://work/runs/r/input.json")


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", ["x" * 200_000, nested(900), ["y" * 50_000] * 4, {"z" * 100_000: 1}, 10**4000])
@pytest.mark.parametrize("field", FIELDS)
def test_an_error_is_short_however_long_or_deep_the_input_is(field: str, value: Any) -> None:
    document = {"Paths": ["a"], field: value}
    if field == "Manifest":
        del document["Paths"]
    try:
        parse(document)
    except InvalidInputError as error:
        assert len(str(error)) < 1_000  # noqa: PT017 - a long prefix, and a large MaxFailures, are no errors
    for wrong in ({value if isinstance(value, str) else "q" * 200_000: 1}, {"Paths": [value]}):
        try:
            parse(wrong)
        except InvalidInputError as error:
            assert len(str(error)) < 1_000  # noqa: PT017


@pytest.mark.parametrize("uri", ["s3://" + "b" * 200_000 + "/k", "https://" + "b" * 200_000, "x" * 200_000])
def test_an_error_about_a_long_uri_is_short(uri: str) -> None:
    for document in ({"Manifest": uri}, {"Paths": [uri.replace("s3:", "http:")]}):
        try:
            parse(document)
        except InvalidInputError as error:
            assert len(str(error)) < 1_000  # noqa: PT017 - text without :// is a prefix
