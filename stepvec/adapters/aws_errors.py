"""boto3's errors as our own."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ParamValidationError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from stepvec.errors import AccessDeniedError, StorageError

ACCESS_DENIED_CODES: Final = frozenset({"AccessDenied", "AccessDeniedException", "KMS.AccessDeniedException", "403"})
EXISTING_CODES: Final = frozenset({"PreconditionFailed", "412"})
MISSING_CODES: Final = frozenset({"NoSuchKey", "NotFound", "404"})

BROKEN_BODY: Final = (
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
    ConnectionError,
    TimeoutError,
)
"""A body that breaks off: boto3 retries a request until its headers are there; the body is ours to retry."""
BODY_ATTEMPTS: Final = 8
"""Of one object, its body included."""

KMS_THROTTLING_CODES: Final = frozenset(
    {
        "KMS.ThrottlingException", "KMS.RateExceededException", "KMS.LimitExceededException",
        "KMS.DependencyTimeoutException", "KMS.KMSInternalException", "KMS.KeyUnavailableException",
    }
)  # fmt: skip
"""KMS behind S3 asks to come again later: "KMS." and KMS's name, with the status 400, which boto3 does not retry."""

S3_ATTEMPT_CODES: Final = KMS_THROTTLING_CODES | frozenset(
    {
        # too many requests: botocore's own list (botocore/retries/standard.py)
        "SlowDown", "Busy", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
        "RequestThrottledException", "TooManyRequestsException", "RequestLimitExceeded", "BandwidthLimitExceeded",
        "LimitExceededException", "PriorRequestNotComplete", "429",
        # the moment
        "ServiceUnavailable", "InternalError", "RequestTimeout", "RequestTimeoutException", "OperationAborted",
        "IncompleteBody", "ConnectionClosedByRequester", "408",
        # the host's clock, the credentials
        "RequestTimeTooSkewed", "RequestExpired", "ExpiredToken", "ExpiredTokenException", "InvalidToken",
        "TokenRefreshRequired", "InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException",
        "SignatureDoesNotMatch", "InvalidSecurity", "MissingSecurityHeader", "MissingSecurityElement",
        "MissingAuthenticationToken", "MissingAuthenticationTokenException", "AuthFailure",
        "AuthorizationQueryParametersError", "CredentialsNotSupported", "XAmzContentSHA256Mismatch", "401", "407",
        # the account
        "AccountProblem", "NotSignedUp", "OptInRequired", "KMS.OptInRequired", "UnauthorizedAccess",
        "UnauthorizedAccessError", "NotDeviceOwnerError", "DeviceNotActiveError",
        # the bucket, its region or its endpoint
        "NoSuchBucket", "InvalidBucketName", "InvalidBucketState", "NoSuchAccessPoint", "NoSuchMultiRegionAccessPoint",
        "InvalidAccessPoint", "PermanentRedirect", "PermanentRedirectControlError", "Redirect", "TemporaryRedirect",
        "IllegalLocationConstraintException", "InvalidLocationConstraint", "AuthorizationHeaderMalformed",
        "EndpointNotFound", "IncorrectEndpoint", "InvalidHostHeader", "InvalidAddressingHeader", "InvalidRegion",
        "NotImplemented", "301", "302", "307",
    }
)  # fmt: skip
"""S3's answers about the service, the network, the credentials or the bucket as a whole: they fail the attempt.

Any other refusal of one object, whether we know it or not, is that object's own, so that one object which nobody may
read costs nothing but itself. Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (the shape
`Error` of botocore's model of S3 has the list too), https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html;
numbers are HTTP statuses of answers without a body, as to HEAD and by proxies.
"""

S3_OBJECT_REMEDIES: Final = {
    "InvalidRequest": "If it is encrypted with a key of the customer's own (SSE-C), copy it with another encryption.",
    "InvalidObjectState": "It is archived: restore it first (S3 RestoreObject), or leave it out.",
    "KMS.DisabledException": "Enable its KMS key.",
    "KMS.KMSInvalidStateException": "Cancel the deletion of its KMS key, or leave the object out.",
    "KMS.NotFoundException": "Without its KMS key nobody can read it: leave it out.",
    "KMS.InvalidKeyUsageException": "Its KMS key is not one for encryption: copy it with another.",
    "MethodNotAllowed": "It is a delete marker: leave it out.",
    "InvalidPayer": "The bucket's owner or AWS disabled it: leave it out.",
    "AllAccessDisabled": "The bucket's owner or AWS disabled it: leave it out.",
    "RequestHeaderSectionTooLarge": "Correct the ETag in the manifest, or leave it out there.",
    "KeyTooLongError": "Correct the key in the manifest.",
    "InvalidURI": "Correct the key in the manifest.",
}
"""What to do about the best known refusals of one object; the rest get S3's own words alone."""

_SERVER_ERROR: Final = 500


def error_code(error: BaseException | None) -> str:
    """The service's code for `error`; "" where it never reached the service."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def as_storage_error(service: str, what: str, error: Exception) -> StorageError:
    """Our error for one that boto3 raised at `what`, with AWS's own words and what to do."""
    if error_code(error) in ACCESS_DENIED_CODES:
        return AccessDeniedError(
            f"{service} denied {what}: {str(error).rstrip('.')}.",
            remedy="Allow it in the policy of the role that AWS names.",
        )
    return StorageError(
        f"{service} failed at {what}: {str(error).rstrip('.')}.",
        remedy="Check that the bucket or table exists; then start again: only what is missing is done.",
    )


def is_object_refusal(error: Exception) -> bool:
    """Whether S3 refused this one object; False for what is of the service, network or credentials as a whole."""
    if isinstance(error, ParamValidationError):
        return True  # boto3 sent nothing: a key or ETag that no request can carry
    if not isinstance(error, ClientError):
        return False
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return status < _SERVER_ERROR and error_code(error) not in S3_ATTEMPT_CODES


def refusal_message(error: Exception) -> str:
    """What S3 said of an object that it refused, and what to do where that is known."""
    code = error_code(error)
    said = error.response.get("Error", {}).get("Message", "") if isinstance(error, ClientError) else str(error)
    # An empty <Message/> is None.
    words = f": {said.strip().rstrip('.')[:160]}" if said else ""
    return f"S3 refuses it ({code or type(error).__name__}){words}. {S3_OBJECT_REMEDIES.get(code, '')}".rstrip()
