"""Why AWS did not do what a client asked, by kind: one line that says what is wrong, and what its user can do.

The one place where boto3's errors become words for people. Codes:
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, CommonErrors of each service's API reference,
botocore/retries/standard.py (what counts as throttling), botocore/exceptions.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from typing import Any, Final
from urllib.parse import urlsplit

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from stepvec.adapters.aws_errors import ACCESS_DENIED_CODES, error_code
from stepvec.errors import AccessDeniedError, ConfigurationError, StepvecError, StorageError

EXPIRED_CODES: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
UNKNOWN_KEY_CODES: Final = frozenset(
    {
        "InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException", "InvalidToken", "AuthFailure",
        "MissingAuthenticationToken", "MissingAuthenticationTokenException", "IncompleteSignature",
        "IncompleteSignatureException", "MissingSecurityHeader",
    }
)  # fmt: skip
SIGNATURE_CODES: Final = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException"})
CLOCK_CODES: Final = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture", "RequestExpired"})
DENIED_CODES: Final = ACCESS_DENIED_CODES | {
    "UnauthorizedOperation",
    "AuthorizationError",
    "NotAuthorized",
    "Forbidden",
}
ACCOUNT_CODES: Final = frozenset(
    {"OptInRequired", "SubscriptionRequiredException", "NotSignedUp", "AccountProblem", "PendingVerification"}
)
THROTTLED_CODES: Final = frozenset(
    {
        "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException", "RequestThrottled",
        "TooManyRequestsException", "ProvisionedThroughputExceededException", "RequestLimitExceeded", "SlowDown",
        "BandwidthLimitExceeded", "PriorRequestNotComplete", "EC2ThrottledException", "429",
    }
)  # fmt: skip
GONE_CODES: Final = frozenset(
    {
        "NoSuchBucket", "NoSuchKey", "NoSuchEntity", "ResourceNotFoundException", "ResourceNotFound", "NotFound", "404",
        "NotFoundException", "StateMachineDoesNotExist", "ExecutionDoesNotExist", "TableNotFoundException",
    }
)  # fmt: skip
OTHER_REGION_CODES: Final = frozenset(
    {"PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
_SERVER_ERROR: Final = 500
_SIGN_IN: Final = "Sign in again (`aws sso login`, `aws login`, or new temporary credentials)."
_NETWORK: Final = "Check the network, and AWS_REGION, HTTPS_PROXY and AWS_ENDPOINT_URL where they are set."
_NO_CREDENTIALS: Final = "Run `aws configure` or set AWS_PROFILE. Without an AWS account: `stepvec local up --detach`."
_INVALID_ENDPOINT: Final = "Invalid endpoint:"
"""What botocore's ValueError for an AWS_ENDPOINT_URL that is no URL begins with."""


def is_of_aws(error: BaseException) -> bool:
    """Whether `error` is one that boto3 raises for what is between us and AWS, and so one that `explained` knows."""
    return isinstance(error, boto.ClientError | boto.BotoCoreError | ResponseParserError) or (
        isinstance(error, ValueError) and str(error).startswith(_INVALID_ENDPOINT)
    )


def explained(error: BaseException) -> StepvecError:
    """Our error for one that boto3 raised."""
    if isinstance(error, boto.ClientError):
        return _refusal(error)
    if isinstance(error, ResponseParserError | ValueError) and not isinstance(error, boto.BotoCoreError):
        return _wrong_endpoint(error)
    for kind, explain in _BY_CLASS:
        if isinstance(error, kind):
            return explain(error)
    return StorageError(f"AWS could not be asked: {_words(error)}.", remedy=_NETWORK)


def better_explained(error: StorageError) -> StepvecError | None:
    """What to say in the place of `error`, where its cause is of the credentials, the clock or the connection.

    An adapter that reads one object words each refusal as that object's.
    """
    cause = error.__cause__
    if cause is None or not is_of_aws(cause):
        return None
    general = EXPIRED_CODES | UNKNOWN_KEY_CODES | SIGNATURE_CODES | CLOCK_CODES | THROTTLED_CODES | ACCOUNT_CODES
    if isinstance(cause, boto.ClientError) and error_code(cause) not in general:
        return None
    return explained(cause)


def _refusal(error: boto.ClientError) -> StepvecError:
    code, said = error_code(error), _said(error)
    if code in SIGNATURE_CODES and re.search(r"expired|not yet current|skew", said, re.IGNORECASE):
        code = "RequestExpired"  # the signature carries the time
    unknown = _SERVER_FAILED if _status(error) >= _SERVER_ERROR else _REFUSED
    kind, message, remedy = next((told for codes, told in _BY_CODE if code in codes), unknown)
    words = {"operation": error.operation_name, "code": error_code(error), "after": f": {said}" if said else ""}
    return kind(message.format(**words), remedy=remedy)


_Told = tuple[type[StepvecError], str, str]
"""What is raised, its message, its remedy."""
_REFUSED: Final[_Told] = (
    StorageError,
    "AWS refused {operation} ({code}){after}.",
    "Correct what it names, and try again.",
)
_SERVER_FAILED: Final[_Told] = (
    StorageError,
    "AWS failed at {operation} ({code}){after}.",
    "Run this again; if it goes on, see health.aws.amazon.com.",
)
_BY_CODE: Final[tuple[tuple[Collection[str], _Told], ...]] = (
    (
        CLOCK_CODES,
        (
            ConfigurationError,
            "AWS refused {operation} ({code}): this machine's clock is wrong by more than five minutes.",
            "Set it (`timedatectl set-ntp true`); a virtual machine's clock may have stood still while it slept.",
        ),
    ),
    (
        SIGNATURE_CODES,
        (
            ConfigurationError,
            "AWS refused {operation} ({code}): the secret access key is not that of the access key.",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY as they belong together, or run `aws configure`.",
        ),
    ),
    (
        EXPIRED_CODES,
        (
            ConfigurationError,
            "The AWS credentials have expired ({code}).",
            f"{_SIGN_IN} An old AWS_SESSION_TOKEN in the environment does this too: unset it.",
        ),
    ),
    (
        UNKNOWN_KEY_CODES,
        (
            ConfigurationError,
            "AWS does not know these credentials ({code}).",
            "Correct them. Those of `stepvec local up` are good for its AWS_ENDPOINT_URL alone, while it is up.",
        ),
    ),
    (
        DENIED_CODES,
        (
            AccessDeniedError,
            "AWS denied {operation} ({code}){after}.",
            "Allow it in the policy of who you are signed in as.",
        ),
    ),
    (
        ACCOUNT_CODES,
        (
            ConfigurationError,
            "This AWS account cannot do {operation} ({code}){after}.",
            "Finish signing up for AWS, or ask AWS Support.",
        ),
    ),
    (
        THROTTLED_CODES,
        (
            StorageError,
            "AWS throttled {operation} ({code}), and went on doing so when it was asked again.",
            "Wait a minute and run this again; see who else uses the account's quota.",
        ),
    ),
    (
        GONE_CODES,
        (
            StorageError,
            "AWS does not find what {operation} asks for ({code}){after}.",
            "If it was deleted outside of Stepvec, deploy again (`stepvec deploy`); else check AWS_REGION.",
        ),
    ),
    (
        OTHER_REGION_CODES,
        (ConfigurationError, "AWS refused {operation} ({code}){after}.", "Set AWS_REGION to the bucket's region."),
    ),
)


def _status(error: boto.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _said(error: boto.ClientError) -> str:
    """AWS's own words, on one line and without a full stop."""
    fields = error.response.get("Error", {})
    bucket = f": {fields['BucketName']}" if "BucketName" in fields else ""  # type: ignore[typeddict-item] # of S3
    return " ".join(str(fields.get("Message") or "").split()).rstrip(".") + bucket


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _wrong_endpoint(error: BaseException) -> StepvecError:
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if isinstance(error, ValueError):
        said = f"{_words(error).removeprefix(_INVALID_ENDPOINT).strip()!r} is not the address of an AWS"
        return ConfigurationError(f"{said}.", remedy="Write AWS_ENDPOINT_URL as http://HOST:PORT, or unset it.")
    where = f" at {endpoint}" if endpoint else ""
    return ConfigurationError(
        f"What answers{where} is not AWS: its answer cannot be read.",
        remedy="Sign in to the network if it asks for that, or correct AWS_ENDPOINT_URL.",
    )


def _profile(error: Any) -> StepvecError:
    import botocore.session

    name = error.kwargs.get("profile", "")
    # The session would look for the missing profile itself.
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    known = ", ".join(sorted(session.full_config.get("profiles", {}))[:20])
    remedy = (
        f"Name one of {known} with --profile or AWS_PROFILE." if known else "`aws configure` makes one; or unset it."
    )
    return ConfigurationError(f"There is no AWS profile {name!r}.", remedy=remedy)


def _unreachable(error: Any) -> StepvecError:
    endpoint = str(error.kwargs.get("endpoint_url", "AWS"))
    host = urlsplit(endpoint).hostname or ""
    if host in ("127.0.0.1", "localhost", "::1"):
        return ConfigurationError(
            f"Nothing answers at {_root(endpoint)}, where AWS_ENDPOINT_URL says that AWS is.",
            remedy="If that was `stepvec local up`, it has ended: start it again. For AWS itself unset it.",
        )
    return ConfigurationError(f"AWS does not answer at {_root(endpoint)}.", remedy=_NETWORK)


def _root(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else url


def _with(message: str, remedy: str) -> Callable[[Any], StepvecError]:
    """An explanation that holds botocore's own words at {words}, and its fields by their names."""

    def explain(error: Any) -> StepvecError:
        return ConfigurationError(message.format(words=_words(error), **error.kwargs), remedy=remedy)

    return explain


_BY_CLASS: Final[tuple[tuple[tuple[type[BaseException], ...], Callable[[Any], StepvecError]], ...]] = (
    ((boto.NoCredentialsError, boto.NoAuthTokenError), _with("There are no AWS credentials.", _NO_CREDENTIALS)),
    (
        (boto.PartialCredentialsError,),
        _with("The AWS credentials are not whole: {cred_var} is missing ({provider}).", _NO_CREDENTIALS),
    ),
    ((boto.ProfileNotFound,), _profile),
    (
        (boto.SSOError, boto.LoginError, boto.TokenRetrievalError, boto.RefreshWithMFAUnsupportedError),
        _with("The sign-in to AWS has ended, or was never made: {words}.", _SIGN_IN),
    ),
    (
        (boto.CredentialRetrievalError, boto.MetadataRetrievalError, boto.UnknownCredentialError),
        _with("The AWS credentials could not be fetched: {words}.", "Correct the profile, or choose another one."),
    ),
    (
        (boto.ConfigParseError, boto.ConfigNotFound, boto.InvalidConfigError),
        _with("AWS's configuration cannot be used: {words}.", "Correct that file (~/.aws/config, or AWS_CONFIG_FILE)."),
    ),
    (
        (boto.NoRegionError,),
        _with("No AWS region is set.", "Set AWS_REGION, or the region of a profile."),
    ),
    (
        (boto.InvalidRegionError,),
        _with("{region_name!r} is not the name of an AWS region.", "Set AWS_REGION to one, such as eu-central-1."),
    ),
    (
        (boto.SSLError,),
        _with(
            "The certificate of {endpoint_url} cannot be verified.",
            "Behind a proxy with certificates of its own set AWS_CA_BUNDLE to them.",
        ),
    ),
    (
        (boto.ProxyConnectionError, boto.InvalidProxiesConfigError),
        _with("The proxy does not answer: {words}.", "Correct HTTPS_PROXY, or name in NO_PROXY what needs none."),
    ),
    (
        (
            boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ReadTimeoutError, boto.ConnectionClosedError,
        ),
        _unreachable,
    ),
    (
        (boto.ParamValidationError, boto.InvalidHostLabelError, boto.ValidationError),
        _with("AWS takes no such name or value: {words}.", "Correct it, and run this again."),
    ),
)  # fmt: skip
