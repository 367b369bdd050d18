"""Runs that an HTTP request starts, on the embedded AWS: what the API answers, and what it starts."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from stepvec.client.http_start import RunByHttp
from stepvec.client.runs import Run
from stepvec.errors import ConfigurationError, InvalidInputError
from stepvec.runs.http_start import INPUT_BYTES, TOKEN_CHARACTERS
from tests.local.conftest import photo, wait_until
from tests.triggers.conftest import Triggered

JSON = {"Content-Type": "application/json"}
Answer = tuple[int, dict[str, str], Any]


class Api:
    """The API as its clients see it."""

    def __init__(self, triggered: Triggered) -> None:
        self.triggered = triggered
        self.url = triggered.deployment.http_url
        cloud = triggered.cloud
        self.operator = Credentials(cloud.access_key_id, cloud.secret_access_key)

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        credentials: Credentials | None = None,
        region: str = "us-east-1",
        more: tuple[tuple[str, str], ...] = (),
        sent: bytes | None = None,
    ) -> Answer:
        """Signed by botocore, sent by http.client as it is; `more` headers and a `sent` body are not signed."""
        request = AWSRequest(method=method, url=self.url + path, data=body, headers=dict(headers or {}))
        SigV4Auth(credentials or self.operator, "execute-api", region).add_auth(request)
        return self.send_raw(method, path, (*request.headers.items(), *more), body if sent is None else sent)

    def send_raw(self, method: str, path: str, headers: tuple[tuple[str, str], ...], body: bytes = b"") -> Answer:
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(place.hostname), place.port or 0, timeout=60)
        connection.putrequest(method, place.path + path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value.encode("latin-1") if isinstance(value, str) else value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(content)

    def start(self, token: str, run_input: Any, **keywords: Any) -> Answer:
        return self.send("POST", "/runs", json.dumps(run_input).encode(), JSON | {"Idempotency-Key": token}, **keywords)

    def wait(self, run: str) -> Any:
        def found() -> Any:
            return self.send("GET", f"/runs/{run}")[2]

        wait_until(lambda: found()["status"] != "RUNNING")
        return found()

    def names(self) -> set[str]:
        return {execution["name"] for execution in self.triggered.executions()}


@pytest.fixture
def api(triggered: Triggered) -> Api:
    return Api(triggered)


@pytest.fixture
def environment(triggered: Triggered, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is a client of the deployment."""
    for name, value in triggered.client_environment().items():
        monkeypatch.setenv(name, value)


@contextmanager
def user(api: Api, name: str, resource: str, action: str = "execute-api:Invoke") -> Iterator[Credentials]:
    """Credentials of a user who may do one thing."""
    iam = api.triggered.cloud.client("iam")
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="Only", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=name, PolicyName="Only")
    iam.delete_user(UserName=name)


def test_one_token_starts_one_run_whose_status_and_report_are_there(api: Api) -> None:
    api.triggered.put("by-http/1.jpg", photo(1))
    before = api.names()
    first = api.start("nightly", {"Paths": ["by-http"], "MaxFailures": 0})
    assert (first[0], first[1]["location"], first[2]["status"]) == (202, "/runs/http-nightly", "RUNNING")
    # The same input, laid out otherwise: it is sent again by another client, say.
    again = api.send(
        "POST", "/runs", b'{\n "MaxFailures" : 0, "Paths": ["by-http"]}', JSON | {"Idempotency-Key": '"nightly"'}
    )
    assert (again[0], again[2]) == (202, first[2])
    going = api.send("GET", "/runs/http-nightly/report")
    assert (going[0], going[2]["error"]) == (404, "NoReport")

    ended = api.wait("http-nightly")
    assert (ended["status"], ended["started"]) == ("SUCCEEDED", first[2]["started"])
    status, _, report = api.send("GET", "/runs/http-nightly/report")
    assert (status, report["run"], report["embedded"]) == (200, "http-nightly", 1)
    # It is over, and its token still starts nothing.
    after = api.start("nightly", {"Paths": ["by-http"], "MaxFailures": 0})
    assert (after[0], after[2]) == (200, ended)
    other = api.start("nightly", {"Paths": ["elsewhere"]})
    assert (other[0], other[2]["error"]) == (409, "TokenUsed")
    assert api.names() - before == {"http-nightly"}


def test_curl_with_a_signature_starts_a_run_and_without_one_nothing(api: Api) -> None:
    api.triggered.put("by-curl/1.jpg", photo(2))
    cloud = api.triggered.cloud
    # As a form, which is what curl says of its own accord: API Gateway passes that on in base64.
    start = ["curl", "--silent", "--data", '{"Paths": ["by-curl"]}', "--header", "Idempotency-Key: curl"]
    start += ["--write-out", "\n%{http_code}", f"{api.url}/runs"]
    signed = ["--aws-sigv4", f"aws:amz:{cloud.region}:execute-api"]
    signed += ["--user", f"{cloud.access_key_id}:{cloud.secret_access_key}"]
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}

    def curl(*arguments: str) -> tuple[str, int]:
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
        text, _, status = done.stdout.rpartition("\n")
        return text, int(status)

    assert curl(*start) == ('{"message":"Forbidden"}', 403)
    assert "http-curl" not in api.names()
    text, status = curl(*start, *signed)
    assert (status, json.loads(text)["run"]) == (202, "http-curl")
    assert api.wait("http-curl")["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    "run_input",
    [
        {"Paths": ["a"], "ShardSize": "x"},
        {"Paths": ["a"], "Reembedd": True},
        {"Paths": []},
        {"Paths": ["s3://another-bucket/a"]},
        {"Paths": ["\ud800"]},
        ["a"],
    ],
)
def test_a_wrong_input_gets_the_text_of_the_state_machine_and_starts_nothing(api: Api, run_input: Any) -> None:
    before = api.names()
    status, _, answer = api.start("wrong", run_input)
    assert (status, answer["error"]) == (400, "InvalidInput")
    assert api.names() == before
    if isinstance(run_input, dict) and "\ud800" not in str(run_input["Paths"]):
        states = api.triggered.states
        machine = api.triggered.deployment.state_machine_arn
        arn = states.start_execution(stateMachineArn=machine, input=json.dumps(run_input))["executionArn"]
        wait_until(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING")
        assert answer["message"] == states.describe_execution(executionArn=arn)["cause"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe{}", 400),
        (b"[" * 100_000, 400),
        (b'{"ShardSize": ' + b"9" * 10_000 + b"}", 400),
        (b'{"Paths": [NaN]}', 400),
        (b'{"Paths": ["' + b"x" * INPUT_BYTES + b'"]}', 413),
        # Less than the limit as it comes, more as the state machine would get it.
        (json.dumps({"Paths": ["\u00fc" * 400] * 250}, ensure_ascii=False).encode(), 413),
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream"])
def test_a_body_that_is_no_input_is_refused_in_either_encoding(api: Api, body: bytes, status: int, kind: str) -> None:
    before = api.names()
    answer = api.send("POST", "/runs", body, {"Content-Type": kind, "Idempotency-Key": "body"})
    assert answer[0] == status, answer
    assert answer[2]["error"] == {400: "InvalidInput", 413: "InputTooLarge"}[status]
    assert len(answer[2]["message"]) < 400
    assert api.names() == before


def test_more_than_api_gateway_takes_is_413_without_being_read(api: Api) -> None:
    status, headers, answer = api.send("POST", "/runs", b"x" * 10_000_001, JSON | {"Idempotency-Key": "large"})
    assert (status, answer, headers["connection"]) == (413, {"message": "Request Entity Too Large"}, "close")
    # Less than that, and more than Lambda takes.
    status, _, answer = api.send("POST", "/runs", b"x" * 7_000_000, JSON | {"Idempotency-Key": "large"})
    assert (status, answer) == (413, {"message": "Request Entity Too Large"})


@pytest.mark.parametrize(
    "token",
    ["", "x" * 1_000, "x" * (TOKEN_CHARACTERS + 1), "\u00fc", "a b", "a/../b", "a:b", '"a', "a%0d%0aSet-Cookie:x", "*"],
)
def test_a_token_that_is_none_is_refused(api: Api, token: str) -> None:
    before = api.names()
    # Sent as Latin-1, unsigned: what a client's library signs of it is its own affair.
    status, _, answer = api.send("POST", "/runs", b'{"Paths": ["a"]}', JSON, more=(("Idempotency-Key", token),))
    assert (status, answer["error"]) == (400, "InvalidInput")
    assert "Idempotency-Key" in answer["message"]
    assert api.names() == before


def test_a_missing_token_and_one_that_comes_twice_are_refused(api: Api) -> None:
    twice = (("Idempotency-Key", "one"), ("Idempotency-Key", "two"))
    for more in ((), twice):
        status, _, answer = api.send("POST", "/runs", b'{"Paths": ["a"]}', JSON, more=more)
        assert (status, answer["error"]) == (400, "InvalidInput")
    assert not api.names() & {"http-one", "http-two", "http-one,two"}


def test_only_this_machines_runs_are_shown(api: Api) -> None:
    states, deployment = api.triggered.states, api.triggered.deployment
    role = states.describe_state_machine(stateMachineArn=deployment.state_machine_arn)["roleArn"]
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
    other = states.create_state_machine(name="other", definition=definition, roleArn=role)["stateMachineArn"]
    states.start_execution(stateMachineArn=other, name="of-another", input="{}")
    store = api.triggered.cloud.client("s3")
    store.put_object(Bucket=deployment.work_bucket, Key="runs/of-another/report.json", Body=b'{"secret": 1}')
    for name in ("of-another", "none", "..", "a%3Ab", "%2e%2e%2fof-another", "a%00", "x" * 200, "%22%3E"):
        for path in (f"/runs/{name}", f"/runs/{name}/report"):
            status, _, answer = api.send("GET", path)
            assert (status, answer.get("error", "NoSuchRun")) == (404, "NoSuchRun"), path
            assert "secret" not in json.dumps(answer)
    for path in ("/runs", "/runs/", "/", "/runs/a/b", "/runs/a/report/", "/other"):
        status, _, answer = api.send("GET", path)
        assert (status, answer) == (404, {"message": "Not Found"}), path
    states.delete_state_machine(stateMachineArn=other)


def test_a_run_that_failed_before_its_end_has_no_report_and_says_why(api: Api) -> None:
    assert api.start("empty", {"Paths": ["nothing-lies-here"]})[0] == 202
    ended = api.wait("http-empty")
    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidInput")
    status, _, answer = api.send("GET", "/runs/http-empty/report")
    assert (status, answer["error"]) == (404, "NoReport")
    assert ended["cause"] in answer["message"]


def test_who_may_not_gets_403(api: Api) -> None:
    arn = f"arn:aws:execute-api:us-east-1:{api.triggered.cloud.account}:{api.url.rpartition('/')[2]}"
    denied = len(api.triggered.cloud.denied)
    with user(api, "reader", f"{arn}/*/GET/runs/*") as reader:
        assert api.send("GET", "/runs/none", credentials=reader)[0] == 404
        assert api.start("reader", {"Paths": ["a"]}, credentials=reader)[::2] == (403, {"message": "Forbidden"})
        wrong = Credentials(reader.access_key, "x" * 40)
        assert api.send("GET", "/runs/none", credentials=wrong)[0] == 403
    with user(api, "stranger", "*", "states:StartExecution") as stranger:
        assert api.start("stranger", {"Paths": ["a"]}, credentials=stranger)[0] == 403
    assert api.send("GET", "/runs/none", credentials=Credentials("AKIANEVERISSUED", "x"))[0] == 403
    assert not api.names() & {"http-reader", "http-stranger"}
    assert [one.action for one in api.triggered.cloud.denied[denied:]] == ["execute-api:Invoke"] * 2
    del api.triggered.cloud.denied[denied:]


def test_without_its_permission_the_api_invokes_nothing(api: Api) -> None:
    functions = api.triggered.cloud.client("lambda")
    (name,) = (
        one["FunctionName"] for one in functions.list_functions()["Functions"] if "StartByHttp" in one["FunctionName"]
    )
    policy = json.loads(functions.get_policy(FunctionName=name)["Policy"])
    (statement,) = (
        one for one in policy["Statement"] if "/runs/{run}" in json.dumps(one) and "report" not in json.dumps(one)
    )
    functions.remove_permission(FunctionName=name, StatementId=statement["Sid"])
    try:
        status, _, answer = api.send("GET", "/runs/none")
        assert (status, answer) == (500, {"message": "Internal Server Error"})
        assert api.send("GET", "/runs/none/report")[0] == 404
    finally:
        (source,) = statement["Condition"]["ArnLike"].values()
        functions.add_permission(
            FunctionName=name, StatementId=statement["Sid"], Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com", SourceArn=source,
        )  # fmt: skip
    assert api.send("GET", "/runs/none")[0] == 404


def test_what_was_signed_is_what_counts(api: Api) -> None:
    headers = JSON | {"Idempotency-Key": "signed"}
    body = b'{"Paths": ["a"]}'
    assert api.send("POST", "/runs", body, headers, sent=b'{"Paths": ["b"]}')[0] == 403
    assert api.send("POST", "/runs", body, headers, region="eu-west-1")[0] == 403
    assert api.send("POST", "/runs", body, headers, more=(("X-Amz-Other", "1"),))[0] == 403
    request = AWSRequest(method="GET", url=f"{api.url}/runs/none")
    SigV4Auth(api.operator, "execute-api", "us-east-1").add_auth(request)
    signed = tuple(request.headers.items())
    assert api.send_raw("GET", "/runs/none", signed)[0] == 404
    assert api.send_raw("GET", "/runs/none/report", signed)[0] == 403
    old = tuple((name, "20260101T000000Z" if name == "X-Amz-Date" else value) for name, value in signed)
    assert api.send_raw("GET", "/runs/none", old)[0] == 403
    assert "http-signed" not in api.names()


def test_an_api_that_is_not_there_is_404(api: Api) -> None:
    place = urlsplit(api.url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port or 0, timeout=60)
    connection.request("GET", "/_aws/execute-api/another/runs/a")
    assert connection.getresponse().status == 404
    connection.close()


@contextmanager
def throttled(api: Api, rate: int, burst: int) -> Iterator[None]:
    """The stage with other limits, as a deployment with another `http_rate` has them."""
    gateway = api.triggered.cloud.client("apigatewayv2")
    key = {"ApiId": api.url.rpartition("/")[2], "StageName": "$default"}
    kept = {
        name: value
        for name, value in gateway.get_stage(**key).items()
        if name in ("StageName", "AutoDeploy", "AccessLogSettings", "DefaultRouteSettings")
    }

    def replace(settings: dict[str, Any]) -> None:
        gateway.delete_stage(**key)
        gateway.create_stage(ApiId=key["ApiId"], **settings)

    replace(kept | {"DefaultRouteSettings": {"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": burst}})
    try:
        yield
    finally:
        replace(kept)


@pytest.mark.usefixtures("environment")
def test_more_than_the_rate_is_429_and_a_client_that_waits_comes_through(api: Api) -> None:
    api.triggered.put("throttled/1.jpg", photo(3))
    with throttled(api, rate=4, burst=5), ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: api.send("GET", "/runs/none"), range(40)))
        passed = [answer for answer in found if answer[0] == 404]
        refused = [answer for answer in found if answer[0] == 429]
        assert len(passed) + len(refused) == 40
        assert len(passed) >= 5
        assert refused[0][2] == {"message": "Too Many Requests"}
        run = RunByHttp(api.triggered.deployment, "throttled")
        run.start({"Paths": ["throttled"]})
        assert run.wait().status == "SUCCEEDED"


@pytest.mark.usefixtures("environment")
def test_the_client_ends_as_it_does_without_http(api: Api) -> None:
    api.triggered.put("client/1.jpg", photo(4))
    deployment = api.triggered.deployment
    run = RunByHttp(deployment, "client")
    run.start({"Paths": ["client"]})
    assert run.wait() == Run(deployment, "http-client").wait()
    with pytest.raises(InvalidInputError, match="another input"):
        RunByHttp(deployment, "client").start({"Paths": ["other"]})
    with pytest.raises(InvalidInputError, match="no run 'http-never'"):
        RunByHttp(deployment, "never").ended()
    failed = RunByHttp(deployment, "client-empty")
    failed.start({"Paths": ["nothing-lies-here"]})
    assert failed.wait() == Run(deployment, "http-client-empty").wait()
    with pytest.raises(InvalidInputError, match="not a token"):
        RunByHttp(deployment, "a b")
    with pytest.raises(ConfigurationError, match="no HTTP start"):
        RunByHttp(dataclasses.replace(deployment, http_url=""), "a")


def test_every_request_is_in_the_access_log(api: Api) -> None:
    logs = api.triggered.cloud.client("logs")
    api.send_raw("POST", "/runs", (("User-Agent", 'x"}{"'), ("Host", "127.0.0.1")))
    api.send("GET", "/runs/logged")
    (group,) = [
        found["logGroupName"]
        for found in logs.describe_log_groups()["logGroups"]
        if "HttpStartAccessLog" in found["logGroupName"]
    ]
    lines = [json.loads(event["message"]) for event in logs.filter_log_events(logGroupName=group)["events"]]
    assert {"route": "POST /runs", "status": "403", "caller": "-"}.items() <= lines[-2].items()
    assert {"route": "GET /runs/{run}", "path": "/runs/logged", "status": "404"}.items() <= lines[-1].items()
    assert lines[-1]["caller"].endswith(":user/operator")


def test_nothing_was_refused_by_a_policy(api: Api) -> None:
    assert api.triggered.cloud.denied == []
