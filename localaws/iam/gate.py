"""The gate in front of the APIs: lets a request through if the caller's policies allow it."""

from __future__ import annotations

import html
import io
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from localaws.iam.authorizer import AccessDenied, Authorizer
from localaws.iam.credentials import CredentialStore, Principal
from localaws.iam.permissions import requirements_of
from localaws.iam.presigned import ExpiredRequest, signed_by_header
from localaws.iam.requests import Apis, Operation, read_operation
from localaws.iam.s3_permissions import deleted_keys, missing_object_requirement

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_BODY_LIMIT: Final = 32 * 1024 * 1024


class Gate:
    """A WSGI application around that of the APIs. Signatures are not verified; the key must be one that was issued."""

    def __init__(
        self,
        application: Application,
        apis: Apis,
        *,
        credentials: CredentialStore,
        authorizer: Authorizer,
        account: str,
        region: str,
    ) -> None:
        self._application = application
        self._apis = apis
        self._credentials = credentials
        self._authorizer = authorizer
        self._account = account
        self._region = region

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answers the request, or refuses it as AWS would."""
        if not _has_valid_length(environ):
            return _refuse(start_response, "rest-xml", 400, "BadRequest", "Content-Length is not a number.", environ)
        try:
            environ = signed_by_header(environ, datetime.now(UTC))
        except ExpiredRequest as expired:
            return _refuse(start_response, "rest-xml", 403, "AccessDenied", str(expired), environ)
        if not self._authorizer.enforcing:
            return self._application(environ, start_response)
        body = _buffered_body(environ)
        operation = read_operation(self._apis, dict(environ, **{"wsgi.input": io.BytesIO(body)}), body)
        if operation is None:
            return _refuse(start_response, "rest-xml", 403, "AccessDenied", "The request is not signed.", environ)
        if operation.name == "DeleteObjects":
            operation.parameters["DeletedKeys"] = deleted_keys(body)
        principal = self._credentials.principal(operation.access_key_id)
        if principal is None or principal.session_token != operation.headers.get("x-amz-security-token", ""):
            return _unknown_key(start_response, operation, environ)
        try:
            for requirement in requirements_of(operation, self._account, self._region):
                self._authorizer.check(principal, requirement)
        except AccessDenied as denied:
            return _denied(start_response, operation, str(denied), environ)
        return self._forward(environ, start_response, operation, principal)

    def _forward(
        self,
        environ: dict[str, Any],
        start_response: StartResponse,
        operation: Operation,
        principal: Principal,
    ) -> Iterable[bytes]:
        to_learn = missing_object_requirement(operation)
        if to_learn is None or self._authorizer.allows(principal, to_learn):
            return self._application(environ, start_response)
        answer: list[Any] = []

        def remember(*arguments: Any) -> None:
            answer.extend(arguments)

        content = self._application(environ, remember)
        if not answer[0].startswith("404"):
            start_response(*answer)
            return content
        try:
            self._authorizer.check(principal, to_learn)
        except AccessDenied as denied:
            return _denied(start_response, operation, str(denied), environ)
        start_response(*answer)
        return content


def _has_valid_length(environ: dict[str, Any]) -> bool:
    """Whether Content-Length is there and a count of bytes, or not there; what follows reads so many."""
    length = environ.get("CONTENT_LENGTH") or "0"
    return length.isascii() and length.isdigit()


def _buffered_body(environ: dict[str, Any]) -> bytes:
    """The body, put back to be read again; only looked at where it can name a resource."""
    if environ["REQUEST_METHOD"] not in ("POST", "PUT") or _is_s3_upload(environ):
        return b""
    length = min(int(environ.get("CONTENT_LENGTH") or 0), _BODY_LIMIT)
    body = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = io.BytesIO(body)
    return bytes(body)


def _is_s3_upload(environ: dict[str, Any]) -> bool:
    return environ["REQUEST_METHOD"] == "PUT" and "/s3/aws4_request" in environ.get("HTTP_AUTHORIZATION", "")


def _denied(
    start_response: StartResponse, operation: Operation, message: str, environ: dict[str, Any]
) -> Iterable[bytes]:
    if operation.protocol == "json":
        return _refuse(start_response, "json", 400, "AccessDeniedException", message, environ)
    code = "AccessDeniedException" if operation.protocol == "rest-json" else "AccessDenied"
    return _refuse(start_response, operation.protocol, 403, code, message, environ)


def _unknown_key(start_response: StartResponse, operation: Operation, environ: dict[str, Any]) -> Iterable[bytes]:
    message = "The security token included in the request is invalid."
    if operation.protocol == "rest-xml":
        message = "The AWS Access Key Id you provided does not exist in our records."
        return _refuse(start_response, "rest-xml", 403, "InvalidAccessKeyId", message, environ)
    if operation.protocol == "query":
        return _refuse(start_response, "query", 403, "InvalidClientTokenId", message, environ)
    status = 400 if operation.protocol == "json" else 403
    return _refuse(start_response, operation.protocol, status, "UnrecognizedClientException", message, environ)


def _refuse(
    start_response: StartResponse,
    protocol: str,
    status: int,
    code: str,
    message: str,
    environ: dict[str, Any],
) -> Iterable[bytes]:
    headers = [("x-amzn-RequestId", "local")]
    if protocol in ("json", "rest-json"):
        headers.append(("x-amzn-ErrorType", code))
        content_type = "application/x-amz-json-1.1" if protocol == "json" else "application/json"
        body = json.dumps({"__type": code, "message": message, "Message": message})
    else:
        content_type = "application/xml"
        error = f"<Code>{code}</Code><Message>{html.escape(message, quote=False)}</Message>"
        if protocol == "query":
            body = f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>"
        else:
            body = f"<Error>{error}</Error>"
    content = b"" if environ["REQUEST_METHOD"] == "HEAD" else body.encode()
    headers += [("Content-Type", content_type), ("Content-Length", str(len(content)))]
    # What the client still sends would be taken for its next request on a connection that stays open.
    if "wsgi.input" in environ and (_is_s3_upload(environ) or not _has_valid_length(environ)):
        headers.append(("Connection", "close"))
    reason = "Forbidden" if status == 403 else "Bad Request"
    start_response(f"{status} {reason}", headers)
    return [content]
