"""boto3 clients with our time-outs and retries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore
from botocore.config import Config

if TYPE_CHECKING:
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


def s3_client(connections: int = 10) -> S3Client:
    """An S3 client for up to `connections` threads, of the region and endpoint that the environment names."""
    return boto3.client("s3", config=_config(connections))


def dynamodb_client(connections: int = 10) -> DynamoDBClient:
    """A DynamoDB client for up to `connections` threads, of the region and endpoint that the environment names.

    It sends a request once: VectorTable retries, for longer than botocore would. Parameters are not validated:
    items are made by `encode_item`, and the check costs a tenth of a put's CPU time. So does botocore's own User-Agent,
    which it assembles twice a request.
    """
    config = _config(connections, attempts=1, parameter_validation=False, user_agent=_USER_AGENT)
    return boto3.client("dynamodb", config=config)


def logs_client() -> CloudWatchLogsClient:
    """A CloudWatch Logs client, of the region and endpoint that the environment names."""
    return boto3.client("logs", config=_config(1))


def sns_client() -> Any:
    """An SNS client, of the region and endpoint that the environment names."""
    return boto3.client("sns", config=_config(1))


def states_client() -> SFNClient:
    """A Step Functions client, of the region and endpoint that the environment names."""
    return boto3.client("stepfunctions", config=_config(1))
