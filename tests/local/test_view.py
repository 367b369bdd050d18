"""`stepvec view` on the embedded AWS: what it serves is what the table and the bucket hold, and it ends cleanly."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import numpy as np
import psutil
import pytest
import urllib3
from botocore.config import Config

from stepvec.client.originals import SECONDS, media_type
from stepvec.rows.vectors import decode_vector
from testkit.browser import Browser
from tests.local.conftest import Pipeline, photo
from tests.local.test_cli import STEPVEC, WITHOUT_AWS

ODD = "<img src=x onerror=alert(1)> ü+%2F&?#.jpg"


class Seen:
    """A page that is served, as a browser asks for it."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        document = self.get("").decode()
        (text,) = re.findall(r'<script type="application/json" id="content">(.*)</script>', document)
        self.content = json.loads(text)

    def get(self, path: str) -> bytes:
        answer = urllib3.request("GET", self.answer["address"] + path, timeout=60)
        assert answer.status == 200
        return answer.data


@contextmanager
def viewed(pipeline: Pipeline, *arguments: str, end: signal.Signals = signal.SIGTERM) -> Iterator[Seen]:
    process = subprocess.Popen(
        [STEPVEC, "view", "--json", *arguments],
        env={**WITHOUT_AWS, **pipeline.client_environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            text += line
        yield Seen(json.loads(text))
        children = psutil.Process(process.pid).children(recursive=True)
    finally:
        began = time.monotonic()
        process.send_signal(end)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + end, errors
    assert time.monotonic() - began < 10
    assert "Traceback" not in errors
    assert not [child for child in children if child.is_running()], "it left processes behind"


@pytest.fixture(scope="module")
def folder(pipeline: Pipeline) -> str:
    """Six photos, of which two are the same, and one that is none; embedded."""
    folder = pipeline.folder()
    for number in range(5):
        pipeline.put(f"{folder}/{number}.jpg", photo(number))
    pipeline.put(f"{folder}/{ODD}", photo(0))
    pipeline.put(f"{folder}/no.jpg", b"no photo at all")
    assert pipeline.run({"Paths": [folder], "MaxFailures": 1}, name=f"{folder}-run").status == "SUCCEEDED"
    return folder


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_what_is_served_is_what_there_is(pipeline: Pipeline, folder: str, end: signal.Signals) -> None:
    keys = sorted([*(f"{folder}/{number}.jpg" for number in range(5)), f"{folder}/{ODD}"])
    vectors = np.stack([decode_vector(pipeline.row(key)) for key in keys])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    with viewed(pipeline, folder, end=end) as seen:
        assert seen.answer["address"].startswith("http://127.0.0.1:")
        assert (seen.answer["photos"], seen.answer["failures"]) == (6, 1)
        assert seen.content["keys"] == keys
        near = json.loads(seen.get("near/2"))
        cosines = unit @ unit[2]
        order = [int(row) for row in np.argsort(-cosines, kind="stable") if row != 2]
        np.testing.assert_allclose(near["cosines"], cosines[near["photos"]], atol=1e-3)
        assert sorted(near["photos"]) == sorted(order)
        copies = json.loads(seen.get("groups"))["groups"]
        kinds = {keys[photo]: kind for photo, kind, _ in copies[0]}
        assert "exact" in (kinds[f"{folder}/0.jpg"], kinds[f"{folder}/{ODD}"])
        assert seen.get("pictures/0")[8:12] == b"WEBP"
        assert len(seen.get("pictures/6")) < 100  # of what is no photo nothing can be seen
        assert seen.content["failures"]["failures"][0]["reason"] == "NotAnImage"
        assert seen.get(f"originals/{keys.index(f'{folder}/{ODD}')}") == photo(0)


def test_in_a_browser_it_asks_the_server_and_nobody_else(pipeline: Pipeline, folder: str, browser: Browser) -> None:
    with viewed(pipeline, folder, "--run", f"{folder}-run") as seen:
        tab = browser.open(seen.answer["address"])
        tab.wait_for("[...document.querySelectorAll('.cell img')].filter((one) => one.naturalWidth > 1).length === 6")
        tab.click(".cell:nth-child(2) button")
        tab.wait_for("document.querySelectorAll('#detail .photos .photo').length === 5")
        near = json.loads(seen.get("near/1"))["photos"]
        names = tab.run("[...document.querySelectorAll('#detail .photos .name[title]')].map((one) => one.title)")
        assert names == [seen.content["keys"][number] for number in near]
        tab.click("#tab-duplicates")
        tab.wait_for("document.querySelectorAll('#duplicates .group .photo').length > 1")
        tab.click("#tab-failures")
        tab.wait_for("document.querySelector('#failures .picture').textContent === 'no picture'")
        assert f"{folder}-run" in tab.run("document.querySelector('#failures').innerText")
        assert tab.problems() == []
        ours = urlsplit(seen.answer["address"]).netloc
        assert {urlsplit(address).netloc for address in tab.requested()} == {ours}
        # The whole photo is elsewhere: the browser is sent to the bucket.
        tab.call("Page.navigate", url=seen.answer["address"] + "originals/1")
        tab.wait_for("location.search.includes('X-Amz-Signature') && document.images[0]?.naturalWidth === 160")
        tab.load(seen.answer["address"])
        tab.wait_for("document.querySelectorAll('.cell img').length === 6")
    tab.click(".cell:nth-child(3) button")
    tab.wait_for("document.querySelector('#detail').innerText.includes('stepvec view')")
    tab.close()


def test_a_run_that_failed_nothing_or_is_not_there(pipeline: Pipeline, folder: str) -> None:
    other = pipeline.folder()
    pipeline.put(f"{other}/1.jpg", photo(1))
    assert pipeline.run({"Paths": [other]}, name=f"{other}-run").status == "SUCCEEDED"
    with viewed(pipeline, folder) as seen:
        assert seen.answer["failures"] == 0
        assert f"Nothing failed in the run {other}-run" in seen.content["failures"]["said"]
    with viewed(pipeline, folder, "--run", f"{folder}-run") as seen:
        assert seen.answer["failures"] == 1


def test_an_original_is_signed_for_a_while_and_answered_as_an_image(pipeline: Pipeline, folder: str) -> None:
    with viewed(pipeline, folder) as seen:
        answer = urllib3.request("GET", seen.answer["address"] + "originals/0", redirect=False)
    assert answer.status == 302
    address = answer.headers["Location"]
    query = parse_qs(urlsplit(address).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == [str(SECONDS)]
    assert query["response-content-type"] == ["image/jpeg"]
    assert media_type("a/x.png") == "image/png"
    assert {media_type(key) for key in ("x.svg", "x.html", "x", "x.jpg.html")} == {"application/octet-stream"}


def test_a_presigned_address_of_the_embedded_aws_is_good_until_it_expires(pipeline: Pipeline, folder: str) -> None:
    variables = pipeline.client_environment()
    s3 = boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=variables["AWS_DEFAULT_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=Config(signature_version="s3v4"),
    )
    where = {"Bucket": pipeline.deployment.image_bucket, "Key": f"{folder}/1.jpg"}
    address = s3.generate_presigned_url("get_object", Params=where, ExpiresIn=1)
    time.sleep(2.1)
    longer = address.replace("X-Amz-Expires=1", "X-Amz-Expires=60")
    for wrong, told in (
        (address, b"Request has expired"),
        (address.replace("X-Amz-Expires=1", "X-Amz-Expires=604801"), b"X-Amz-Expires"),
        (longer.replace("Credential=", "Credential=NOBODY"), b"InvalidAccess"),
        (address.partition("?")[0], b"AccessDenied"),
    ):
        refused = urllib3.request("GET", wrong)
        assert refused.status == 403
        assert told in refused.data
    assert urllib3.request("GET", longer).data == photo(1)
