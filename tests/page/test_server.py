"""The server of a page: this machine alone, its own address alone, reading alone."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from stepvec.errors import ConfigurationError
from stepvec.export.columns import record_batch, row_schema
from stepvec.neighbours.temporary import temporary_index
from stepvec.page.album import Album
from stepvec.page.content import Content, shown_failures
from stepvec.page.rendering import Frame, render
from stepvec.page.server import PageServer, ServedPage
from stepvec.rows.item import encode_item
from testkit.browser import Browser
from testkit.pages import FAILURES, MODEL, album


class Pictures:
    """Of three photos one can be seen."""

    def thumbnail(self, number: int) -> bytes | None:
        return [b"picture", None, b"", b"", b""][number]

    def original(self, number: int) -> str:
        return ["https://bucket.example/0?X-Amz-Signature=1"][number]


@dataclass
class Served:
    server: PageServer
    album: Album

    def ask(self, path: str = "", method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(self.server.address)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        connection.putrequest(method, path if path.startswith("/") else parts.path + path, skip_host=True)
        for name, value in ({"Host": parts.netloc} | headers).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


@pytest.fixture
def served() -> Iterator[Served]:
    rows = album(60).rows()
    with temporary_index([record_batch(list(map(encode_item, rows)), row_schema(48))], MODEL) as index:
        made = Album(index)
        content = Content("t", made.keys, made.points(), shown_failures("f", FAILURES), "pictures/", originals=True)
        document, policy = render(Frame("60 photos", "said", ()), content, pictures_from="'self' data:")
        with PageServer() as server:
            page = ServedPage(document.encode(), policy, made, Pictures())
            thread = threading.Thread(target=server.serve, args=(page,))
            thread.start()
            yield Served(server, made)
            server.end()
            thread.join()


def test_the_page_and_what_it_asks_for(served: Served) -> None:
    status, headers, body = served.ask()
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"60 photos" in body
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert served.ask("pictures/0")[2] == b"picture"
    assert served.ask("pictures/1")[0] == 200  # one pixel
    near = json.loads(served.ask("near/7")[2])
    assert near["photos"] == served.album.near(7).photos
    groups: Any = json.loads(served.ask("groups")[2])
    assert [member[:2] for member in groups["groups"][0]] == [[1, "kept"], [0, "near"]]
    status, headers, _ = served.ask("originals/0")
    assert (status, headers["location"]) == (302, "https://bucket.example/0?X-Amz-Signature=1")


def test_every_answer_is_for_this_origin_alone(served: Served) -> None:
    for path in ("", "pictures/0", "near/0", "nothing"):
        headers = served.ask(path)[1]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers
        assert "python" not in headers.get("server", "").lower()


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", ""]
)
def test_another_name_that_leads_here_is_refused(served: Served, host: str) -> None:
    """DNS rebinding: somebody's page under a name that they have made to mean 127.0.0.1."""
    for path in ("", "pictures/0", "near/0"):
        status, _, body = served.ask(path, Host=host.format(port=served.server.port))
        assert (status, b"photos" in body) == (421, False)


def test_its_own_names_are_taken(served: Served) -> None:
    for host in ("127.0.0.1", "localhost"):
        assert served.ask(Host=f"{host}:{served.server.port}")[0] == 200


def test_without_the_secret_there_is_nothing(served: Served) -> None:
    secret = urlsplit(served.server.address).path
    assert len(secret) > 20
    for path in (
        "/",
        "/pictures/0",
        f"{secret[:-2]}/",
        f"{secret}../etc/passwd",
        f"{secret}pictures/0/",
    ):
        assert served.ask(path)[0] == 404, path


def test_numbers_of_no_photo_are_not_found(served: Served) -> None:
    for path in ("near/60", "near/999999999", "pictures/62", "near/-1", "near/1e3", "near/", "originals/5", "near/٣"):
        assert served.ask(path.encode().decode("latin-1") if path.isascii() else "near/%D9%A3")[0] == 404, path


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_only_reads(served: Served, method: str) -> None:
    status, headers, _ = served.ask(method=method)
    assert status == 501
    assert "access-control-allow-methods" not in headers
    assert served.ask()[0] == 200


def test_head_is_get_without_a_body(served: Served) -> None:
    status, headers, body = served.ask(method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 1000


def test_a_port_that_is_taken_is_said(served: Served) -> None:
    with pytest.raises(ConfigurationError, match=f"Port {served.server.port} of 127.0.0.1 cannot be listened on"):
        PageServer(served.server.port)


def test_a_page_of_another_name_reads_nothing_in_a_browser(served: Served, browser: Browser) -> None:
    tab = browser.open(f"http://rebound.test:{served.server.port}/")
    assert "no server of that name" in tab.run("document.body.innerText")
    answer = f"fetch({json.dumps(served.server.address)}).then((a) => a.text(), () => 'refused')"
    assert tab.run(answer) == "refused"
    image = (
        "new Promise((done) => { const image = new Image(); image.onload = () => done(true); "
        f"image.onerror = () => done(false); image.src = {json.dumps(served.server.address + 'pictures/1')}; }})"
    )
    assert tab.run(image) is False
    tab.close()
    own = browser.open(served.server.address)
    own.wait_for("document.querySelectorAll('.cell').length > 5")
    assert own.run("fetch('pictures/1').then((a) => a.status)") == 200
    own.close()
