"""boto3 clients with our time-outs and retries."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore
from botocore.config import Config

from stepvec.errors import ConfigurationError

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

MAX_ATTEMPTS: Final = 8
"""Of one request, before its error reaches us; "standard" mode backs off with jitter, up to 20 s an attempt.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""

_USER_AGENT: Final = f"stepvec Boto3/{boto3.__version__} Botocore/{botocore.__version__}"


def _config(connections: int, *, attempts: int = MAX_ATTEMPTS, **options: Any) -> Config:
    return Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        **options,
        max_pool_connections=connections,
        connect_timeout=5,
        read_timeout=60,
    )


def _client(service: str, config: Config) -> Any:
    # botocore reads AWS_DEFAULT_REGION alone, and takes us-east-1 for S3 where there is none. A session only where
    # there is neither: it takes a while.
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or boto3.Session().region_name
    if region is None:
        raise ConfigurationError(
            "No AWS region is set: neither AWS_REGION nor AWS_DEFAULT_REGION.",
            remedy="The job definition sets both: deploy the pipeline stack again. Elsewhere set one.",
        )
    return boto3.client(service, region_name=region, config=config)  # type: ignore[call-overload] # any service


def s3_client(connections: int = 10, *, attempts: int = MAX_ATTEMPTS) -> S3Client:
    """An S3 client for up to `connections` threads, of the region and endpoint that the environment names."""
    client: S3Client = _client("s3", _config(connections, attempts=attempts))
    return client


def dynamodb_client(connections: int = 10) -> DynamoDBClient:
    """A DynamoDB client for up to `connections` threads, of the region and endpoint that the environment names.

    It sends a request once: VectorTable retries, for longer than botocore would. Parameters are not validated:
    items are made by `encode_item`, and the check costs a tenth of a put's CPU time. So does botocore's own User-Agent,
    which it assembles twice a request.
    """
    config = _config(connections, attempts=1, parameter_validation=False, user_agent=_USER_AGENT)
    client: DynamoDBClient = _client("dynamodb", config)
    return client


def credentials() -> Credentials | None:
    """What the clients made here sign with, renewed as they renew it; None where nothing is set, which they report."""
    session = boto3.DEFAULT_SESSION or boto3.Session()
    found: Credentials | None = session.get_credentials()
    return found


def s3vectors_client(connections: int = 10) -> Any:
    """An S3 Vectors client for up to `connections` threads, of the region and endpoint that the environment names.

    Like dynamodb_client it sends a request once (VectorIndex retries), without validating what is ours: that would look
    at each of a vector's numbers.
    """
    config = _config(connections, attempts=1, parameter_validation=False, user_agent=_USER_AGENT)
    return _client("s3vectors", config)


def logs_client() -> CloudWatchLogsClient:
    """A CloudWatch Logs client, of the region and endpoint that the environment names."""
    client: CloudWatchLogsClient = _client("logs", _config(1))
    return client


def sns_client() -> Any:
    """An SNS client, of the region and endpoint that the environment names."""
    return _client("sns", _config(1))


def events_client() -> Any:
    """An EventBridge client, of the region and endpoint that the environment names."""
    return _client("events", _config(1))


def states_client(*, attempts: int = MAX_ATTEMPTS) -> SFNClient:
    """A Step Functions client, of the region and endpoint that the environment names."""
    client: SFNClient = _client("stepfunctions", _config(1, attempts=attempts))
    return client
