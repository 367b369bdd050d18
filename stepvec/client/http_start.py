"""Runs started and followed by a deployment's HTTP API, with requests signed by the environment's credentials."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from stepvec import codec
from stepvec.adapters.executions import RUNNING
from stepvec.client.deployment import Deployment
from stepvec.client.runs import RunEnd, RunProgress, poll_pauses
from stepvec.client.session import new_session
from stepvec.errors import ConfigurationError, InvalidInputError, RecordError, StorageError
from stepvec.pacing import backoff_seconds
from stepvec.runs.http_start import RUNS_PATH, TOKEN_HEADER, HttpRefusal, HttpRun, run_name
from stepvec.runs.reports import RunReport

if TYPE_CHECKING:
    from botocore.credentials import Credentials

_SERVICE: Final = "execute-api"
_ATTEMPTS: Final = 6
_FIRST_PAUSE: Final = 4
"""The exponent that the pauses begin with: up to 0.8 s, in which the API lets several requests pass again."""
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404


class RunByHttp:
    """One run, by the API of `deployment`. The run is named after `token`: see `stepvec.runs.http_start.run_name`."""

    def __init__(self, deployment: Deployment, token: str) -> None:
        """Raises ConfigurationError where the deployment has no API, InvalidInputError for a token that is none."""
        if not deployment.http_url:
            raise ConfigurationError(
                "This deployment has no HTTP start.",
                remedy='Set "http_start": true in cdk.json and deploy again, or leave out --http.',
            )
        self.name = run_name(token)
        self._token = token
        self._deployment = deployment
        self._session = new_session()

    def start(self, run_input: Mapping[str, Any]) -> str:
        """Start the run; its status. One that this token has started already, with the same input, is as it was.

        Raises InvalidInputError for an input that the API refuses, and where the token went with another one.
        """
        headers = {TOKEN_HEADER: self._token, "Content-Type": "application/json"}
        content = self._ask("POST", RUNS_PATH, json.dumps(run_input).encode(), headers)
        return codec.from_json(HttpRun, content, where=RUNS_PATH).status

    def ended(self) -> RunEnd | None:
        """How the run ended; None while it is going. Raises InvalidInputError where there is no such run."""
        path = f"{RUNS_PATH}/{self.name}"
        run = codec.from_json(HttpRun, self._ask("GET", path), where=path)
        if run.status == RUNNING:
            return None
        status, content = self._send("GET", f"{path}/report", b"", {})
        # A run that failed before its end has none.
        report = None if status == _NOT_FOUND else _accepted(status, content)
        return RunEnd(
            run.run,
            run.status,
            run.error,
            run.cause,
            codec.from_json(RunReport, report, where=f"{path}/report") if report is not None else None,
        )

    def wait(self, on_progress: Callable[[RunProgress], None] = lambda _: None) -> RunEnd:
        """Wait until the run ends. The API does not say how far it is meanwhile."""
        pauses = poll_pauses(local=self._deployment.is_local)
        while (ended := self.ended()) is None:
            on_progress(RunProgress(0, 0, 0))
            time.sleep(next(pauses))
        return ended

    def _ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
        return _accepted(*self._send(method, path, body, headers or {}))

    def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and content of the answer. Sent again while the API throttles or fails: the token makes that safe."""
        from botocore.exceptions import HTTPClientError

        for attempt in range(_ATTEMPTS):
            is_last = attempt == _ATTEMPTS - 1
            try:
                status, content = self._send_once(method, path, body, headers)
            except HTTPClientError:
                if is_last:
                    raise
            else:
                if status not in _AGAIN or is_last:
                    return status, content
            time.sleep(backoff_seconds(attempt + _FIRST_PAUSE))
        raise AssertionError("the last attempt returns or raises")

    def _send_once(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.httpsession import URLLib3Session
        from botocore.utils import get_environ_proxies

        url = f"{self._deployment.http_url}{path}"
        request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
        SigV4Auth(self._credentials(), _SERVICE, self._session.region_name).add_auth(request)
        answer = URLLib3Session(proxies=get_environ_proxies(url)).send(request.prepare())
        return answer.status_code, answer.content

    def _credentials(self) -> Credentials:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise ConfigurationError("There are no AWS credentials.", remedy="Set AWS_PROFILE, or log in.")
        return credentials


def _accepted(status: int, content: bytes) -> bytes:
    """The content of an answer that is none of refusal. Raises for others as the API means them."""
    if status < 400:
        return content
    if status == _FORBIDDEN:
        raise ConfigurationError(
            "The API refuses these credentials (403).",
            remedy="Allow execute-api:Invoke on the API in their policy, and set the clock: docs/http.md.",
        )
    try:
        refusal = codec.from_json(HttpRefusal, content, where="The API's answer")
    except RecordError as error:
        raise StorageError(
            f"The API answered {status}: {content[:200].decode(errors='replace')}",
            remedy="See its access log and that of StartByHttp; send it again with the same token.",
        ) from error
    if status >= 500:
        raise StorageError(refusal.message, remedy="See the log of the function StartByHttp.")
    raise InvalidInputError(refusal.message, remedy="The API started nothing: docs/http.md says what it takes.")
