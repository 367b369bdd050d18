"""The HTTP start: what a request asks for, and what of it is refused before anything is started."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.start_by_http.requests import InputTooLargeError, answer_run, read_input, read_name, refuse, write_input
from stepvec.errors import InvalidInputError
from stepvec.runs.http_start import INPUT_BYTES, TOKEN_CHARACTERS, HttpRun, run_name
from stepvec.runs.layout import check_run_name


@given(st.text(max_size=200))
def test_a_token_is_a_name_with_a_prefix_or_is_refused(token: str) -> None:
    try:
        name = run_name(token)
    except InvalidInputError:
        return
    check_run_name(name)
    assert name == "http-" + token.strip('"')
    # It goes into a header.
    assert name.isascii()
    assert name.isprintable()


@pytest.mark.parametrize(
    ("token", "name"),
    [("a", "http-a"), ('"a-B_9"', "http-a-B_9"), ("x" * TOKEN_CHARACTERS, "http-" + "x" * TOKEN_CHARACTERS)],
)
def test_tokens(token: str, name: str) -> None:
    assert read_name({"headers": {"idempotency-key": token}}) == name


@pytest.mark.parametrize("event", [{}, {"headers": {}}, {"headers": {"idempotency-key": "one,two"}}])
def test_a_missing_token_and_two_of_them_are_refused(event: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="Idempotency-Key"):
        read_name(event)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda kids: st.lists(kids) | st.dictionaries(st.text(), kids),
    )
)
def test_an_input_comes_through_in_either_encoding_and_is_always_the_same_text(document: Any) -> None:
    body = json.dumps(document)
    plain = read_input({"body": body})
    encoded = read_input({"body": base64.b64encode(body.encode()).decode(), "isBase64Encoded": True})
    assert plain == encoded == document
    assert write_input(document) == write_input(json.loads(json.dumps(document, indent=3)))
    assert json.loads(write_input(document)) == document


@pytest.mark.parametrize("body", ["", "{", "\ufeff{}", "[" * 200_000, "1" * 5_000, "{'a': 1}"])
def test_what_is_no_json_is_refused(body: str) -> None:
    with pytest.raises(InvalidInputError, match="not JSON"):
        read_input({"body": body})


def test_what_the_state_machine_would_not_take_is_too_large() -> None:
    with pytest.raises(InputTooLargeError, match="may have 261,120"):
        read_input({"body": '"' + "x" * INPUT_BYTES + '"'})
    umlauts = "\u00fc" * (INPUT_BYTES // 3)
    assert read_input({"body": json.dumps(umlauts, ensure_ascii=False)}) == umlauts
    with pytest.raises(InputTooLargeError):
        write_input(umlauts)


def test_answers_are_json_that_nobody_keeps() -> None:
    run = answer_run(HttpRun("http-a", "RUNNING", "2026-11-26T00:00:00.000+00:00"), 202)
    assert (run["statusCode"], run["headers"]["location"]) == (202, "/runs/http-a")
    assert json.loads(run["body"])["run"] == "http-a"
    refused = refuse("Unavailable", "no \r\n <b>")
    assert (refused["statusCode"], refused["headers"]["retry-after"]) == (503, "5")
    for answer in (run, refused):
        assert answer["headers"]["content-type"] == "application/json"
        assert answer["headers"]["cache-control"] == "no-store"
