"""HTTP APIs of the embedded AWS: signatures, routes, throttling, and the format of events and responses."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from localaws.errors import TemplateError
from localaws.handlers.http_apis import api, integration, route, stage
from localaws.http_api.access_log import log_line
from localaws.http_api.model import HttpApi, Integration, Route, Stage
from localaws.http_api.payload import Caller, Received, event_of, response_of
from localaws.http_api.routing import find_route
from localaws.http_api.signature import CLOCK_SKEW, SignatureError, SignedRequest, check_signature
from localaws.http_api.throttle import TokenBuckets

KEY = Credentials("AKIAEXAMPLE", "secret/+secret")
TARGET = Integration("arn:aws:lambda:us-east-1:123456789012:function:f", 30)


def signed(method: str, url: str, body: bytes = b"", **headers: str) -> SignedRequest:
    """As botocore signs it, and as it would come."""
    request = AWSRequest(method=method, url=url, data=body, headers={"Host": "127.0.0.1:1", **headers})
    SigV4Auth(KEY, "execute-api", "us-east-1").add_auth(request)
    path, _, query = url.removeprefix("http://127.0.0.1:1").partition("?")
    received = {name.lower(): value for name, value in request.headers.items()}
    return SignedRequest(method, path, query, received, body)


def check(request: SignedRequest, **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "region": "us-east-1",
        "service": "execute-api",
        "secret_of": {KEY.access_key: KEY.secret_key}.get,
        "now": datetime.now(UTC),
    }
    return check_signature(request, **(arguments | changes))


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/runs",
        "/runs/a%20b",
        "/runs/a%2Fb/report",
        "/runs/../x",
        "//runs/",
        "/r?b=2&a=1&a=0",
        "/r?a=%2Fx&c",
        "/r?%C3%BC=%25",
    ],
)
def test_what_botocore_signs_is_taken(target: str) -> None:
    assert check(signed("GET", f"http://127.0.0.1:1{target}")) == KEY.access_key
    assert check(signed("POST", f"http://127.0.0.1:1{target}", b"{}", **{"X-A": "  a   b "})) == KEY.access_key


def test_what_was_changed_since_is_not() -> None:
    good = signed("POST", "http://127.0.0.1:1/runs?a=1", b"body", **{"X-A": "b"})
    changed = [
        SignedRequest("PUT", good.path, good.query, good.headers, good.body),
        SignedRequest(good.method, "/runs/b", good.query, good.headers, good.body),
        SignedRequest(good.method, good.path, "a=2", good.headers, good.body),
        SignedRequest(good.method, good.path, good.query, {**good.headers, "x-a": "c"}, good.body),
        SignedRequest(good.method, good.path, good.query, {**good.headers, "host": "another"}, good.body),
        SignedRequest(good.method, good.path, good.query, good.headers, b"bodY"),
    ]
    assert check(good) == KEY.access_key
    for request in changed:
        with pytest.raises(SignatureError, match="not that of this request"):
            check(request)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"region": "eu-west-1"}, "signed for execute-api in us-east-1"),
        ({"service": "states"}, "not states"),
        ({"secret_of": {}.get}, "never issued"),
        ({"secret_of": {KEY.access_key: "another"}.get}, "not that of this request"),
        ({"now": datetime(2100, 1, 1, tzinfo=UTC)}, "too old"),
        ({"now": datetime(2020, 1, 1, tzinfo=UTC)}, "too old, or from the future"),
    ],
)
def test_a_signature_for_something_else_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(SignatureError, match=why):
        check(signed("GET", "http://127.0.0.1:1/runs"), **changes)


def test_five_minutes_are_not_too_old() -> None:
    request = signed("GET", "http://127.0.0.1:1/runs")
    sent = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    for now in (sent - CLOCK_SKEW, sent + CLOCK_SKEW):
        assert check(request, now=now) == KEY.access_key
    for now in (sent - CLOCK_SKEW - timedelta(seconds=1), sent + CLOCK_SKEW + timedelta(seconds=1)):
        with pytest.raises(SignatureError, match="too old, or from the future"):
            check(request, now=now)


def test_headers_of_awss_own_must_be_signed_and_a_signature_in_the_query_is_not_known() -> None:
    good = signed("GET", "http://127.0.0.1:1/runs")
    more = SignedRequest(good.method, good.path, good.query, {**good.headers, "x-amz-security-token": "t"}, b"")
    with pytest.raises(SignatureError, match="not signed: x-amz-security-token"):
        check(more)
    request = AWSRequest(method="GET", url="http://127.0.0.1:1/runs")
    SigV4QueryAuth(KEY, "execute-api", "us-east-1").add_auth(request)
    with pytest.raises(SignatureError, match="no Authorization header"):
        check(SignedRequest("GET", "/runs", str(request.url).partition("?")[2], {"host": "127.0.0.1:1"}, b""))


@given(st.text(max_size=300))
def test_no_header_does_more_than_be_refused(text: str) -> None:
    for header in (text, f"AWS4-HMAC-SHA256 {text}"):
        with pytest.raises(SignatureError):
            check(SignedRequest("GET", "/", "", {"authorization": header, "host": text, "x-amz-date": text}, b""))


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("POST", "/runs", ("POST /runs", {})),
        ("GET", "/runs/a", ("GET /runs/{run}", {"run": "a"})),
        ("GET", "/runs/a%2Fb", ("GET /runs/{run}", {"run": "a/b"})),
        ("GET", "/runs/latest", ("GET /runs/latest", {})),
        ("PUT", "/runs/a", ("ANY /runs/{other}", {"other": "a"})),
        ("GET", "/runs/", None),
        ("GET", "/runs", None),
        ("GET", "/runs/a/b", None),
        ("POST", "/RUNS", None),
    ],
)
def test_the_most_specific_route_is_taken(method: str, path: str, found: tuple[str, dict[str, str]] | None) -> None:
    keys = ("ANY /runs/{other}", "GET /runs/{run}", "POST /runs", "GET /runs/latest")
    match = find_route([Route(key, "NONE", TARGET) for key in keys], method, path)
    assert (match and (match[0].key, match[1])) == found
    default = [Route(key, "NONE", TARGET) for key in (*keys, "$default")]
    assert find_route(default, method, path) is not None


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    now = [0.0]
    buckets = TokenBuckets(lambda: now[0])

    def passing(count: int) -> int:
        return sum(buckets.take("a", rate=2, burst=5) for _ in range(count))

    assert passing(10) == 5
    now[0] = 1.0
    assert passing(10) == 2
    now[0] = 100.0
    assert passing(10) == 5
    assert buckets.take("b", rate=2, burst=5)


def received(**changes: Any) -> Received:
    arguments: dict[str, Any] = {
        "request_id": "r",
        "moment": datetime(2026, 11, 26, 19, 3, 58, tzinfo=UTC),
        "method": "POST",
        "path": "/runs",
        "query": "",
        "protocol": "HTTP/1.1",
        "source_ip": "127.0.0.1",
        "headers": {"host": "h", "content-type": "application/json", "user-agent": "curl"},
        "body": b'{"a": 1}',
    }
    return Received(**(arguments | changes))


def event(request: Received, caller: Caller | None = None, **variables: str) -> dict[str, Any]:
    taken = Route("POST /runs", "AWS_IAM", TARGET)
    stage_ = Stage(10, 20, variables={"v": "1"})
    return event_of(request, HttpApi("api", (taken,), stage_), taken, variables, account="1", caller=caller)


def test_an_event_has_what_aws_documents() -> None:
    """As the example of payload format 2.0 in http-api-develop-integrations-lambda.html."""
    request = received(
        query="a=1&a=2&b=%C3%BC", headers={"host": "h", "content-type": "text/plain", "cookie": "x=1; y=2", "a": "1,2"}
    )
    found = event(request, Caller("AKIA", "arn:aws:iam::1:user/u"), run="r 1")
    assert (found["version"], found["routeKey"], found["rawPath"]) == ("2.0", "POST /runs", "/runs")
    assert (found["rawQueryString"], found["queryStringParameters"]) == (
        "a=1&a=2&b=%C3%BC",
        {"a": "1,2", "b": "\u00fc"},
    )
    assert found["headers"] == {"host": "h", "content-type": "text/plain", "a": "1,2"}
    assert (found["cookies"], found["pathParameters"], found["stageVariables"]) == (
        ["x=1", "y=2"],
        {"run": "r 1"},
        {"v": "1"},
    )
    context = found["requestContext"]
    assert (context["time"], context["timeEpoch"]) == ("26/Nov/2026:19:03:58 +0000", 1795719838000)
    assert context["http"]["method"] == "POST"
    assert context["authorizer"]["iam"]["userArn"] == "arn:aws:iam::1:user/u"
    assert "authorizer" not in event(received())["requestContext"]
    assert "queryStringParameters" not in event(received())


@pytest.mark.parametrize(
    ("kind", "body", "is_text"),
    [
        ("application/json", b"{}", True),
        ("application/json; charset=utf-8", b"{}", True),
        ("text/plain", b"a", True),
        ("application/problem+json", b"{}", True),
        ("application/x-www-form-urlencoded", b"{}", False),
        ("", b"{}", False),
        ("application/octet-stream", b"{}", False),
        ("application/json", b"\xff", False),
    ],
)
def test_only_text_comes_as_text(kind: str, body: bytes, is_text: bool) -> None:
    found = event(received(headers={"content-type": kind} if kind else {}, body=body))
    assert found["isBase64Encoded"] is not is_text
    assert (found["body"].encode() if is_text else base64.b64decode(found["body"])) == body
    assert "body" not in event(received(body=b""))


def test_a_response_is_what_the_function_says_or_infers() -> None:
    said = response_of(
        json.dumps({"statusCode": 202, "headers": {"Location": "/x", "Connection": "close"}, "body": "b"}).encode()
    )
    assert (said.status, said.body, said.headers["location"]) == (202, b"b", "/x")
    assert "connection" not in said.headers
    inferred = response_of(b'{"a": 1}')
    assert (inferred.status, inferred.body, inferred.headers) == (
        200,
        b'{"a": 1}',
        {"content-type": "application/json"},
    )
    encoded = response_of(
        json.dumps({"statusCode": 200, "body": "/w==", "isBase64Encoded": True, "cookies": ["c=1"]}).encode()
    )
    assert (encoded.body, encoded.cookies) == (b"\xff", ("c=1",))
    for wrong in ({"statusCode": "x"}, {"statusCode": 1000}, {"statusCode": 200, "headers": {"a": "b\r\nc: d"}}):
        with pytest.raises(ValueError, match=r"."):
            response_of(json.dumps(wrong).encode())


def test_a_line_of_the_access_log_stays_one_line_of_json() -> None:
    line = log_line('{"agent":"$context.identity.userAgent","none":"$context.no"}', {"identity.userAgent": 'a"}\n{\\'})
    assert json.loads(line) == {"agent": 'a"}\n{\\', "none": "-"}
    assert "\n" not in line


@pytest.mark.parametrize(
    ("handler", "properties", "named"),
    [
        (api, {"ProtocolType": "WEBSOCKET", "Name": "a"}, "WEBSOCKET"),
        (integration, {"ApiId": "a", "IntegrationType": "HTTP_PROXY"}, "HTTP_PROXY"),
        (integration, {"ApiId": "a", "IntegrationType": "AWS_PROXY", "PayloadFormatVersion": "1.0"}, "1.0"),
        (route, {"ApiId": "a", "RouteKey": "GET /", "AuthorizationType": "JWT"}, "JWT"),
        (route, {"ApiId": "a", "RouteKey": "GET /{all+}"}, r"all\+"),
        (stage, {"ApiId": "a", "StageName": "prod", "AutoDeploy": True}, "prod"),
        (stage, {"ApiId": "a", "StageName": "$default"}, "AutoDeploy"),
    ],
)
def test_what_is_not_known_here_is_refused(handler: Any, properties: dict[str, Any], named: str) -> None:
    with pytest.raises(TemplateError, match=named):
        handler(None, "Thing", properties)
