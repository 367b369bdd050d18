"""Service limits that the design relies on, each with its source.

tests/unit/test_limits.py holds our defaults inside them. Sources were read in November 2026.
"""

from __future__ import annotations

from typing import Final

# --- AWS Step Functions ------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
STATE_PAYLOAD_BYTES: Final = 262_144
"""Input or output of a state, UTF-8 bytes."""
EXECUTION_NAME_CHARACTERS: Final = 80
EXECUTION_HISTORY_EVENTS: Final = 25_000
"""Events of one Standard execution. Children of a Distributed Map have a history of their own."""
MAP_CONCURRENCY: Final = 10_000
"""Child executions of one Distributed Map that run at a time."""
MAP_ITEMS: Final = 100_000_000
STATE_TRANSITIONS_PER_SECOND: Final = 1_500
"""Refill of the token bucket in the largest regions; new accounts begin lower."""

# --- AWS Batch ---------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
SUBMIT_JOBS_PER_SECOND: Final = 50
"""Of an account; it cannot be raised."""
SUBMIT_JOB_REQUEST_BYTES: Final = 30 * 1024
CONTAINER_OVERRIDES_CHARACTERS: Final = 8_192
"""An ECS RunTask limit that reaches through Batch (ASFHyP3/hyp3#3041)."""
JOB_NAME_CHARACTERS: Final = 128
MAX_JOB_ATTEMPTS: Final = 10
EVALUATE_ON_EXIT_RULES: Final = 5
MIN_JOB_TIMEOUT_SECONDS: Final = 60
COMPUTE_ENVIRONMENTS_PER_QUEUE: Final = 3
# https://docs.aws.amazon.com/batch/latest/userguide/bestpractice1.html
ADVISED_JOB_SECONDS: Final = (180, 300)
"""How long jobs should run: of shorter ones the scheduling may take longer than the work."""
# https://docs.aws.amazon.com/batch/latest/APIReference/API_JobStateTimeLimitAction.html
STATE_TIME_LIMIT_SECONDS: Final = (600, 86_400)
"""Shortest and longest time after which Batch may cancel a job that stays RUNNABLE."""

# --- AWS Lambda --------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LAMBDA_TIMEOUT_SECONDS: Final = 900
LAMBDA_MEMORY_MB: Final = 10_240
LAMBDA_DISK_BYTES: Final = 512 * 1024 * 1024
"""The default disk of a function.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-ephemeral-storage.html
"""
LAMBDA_ZIP_UNPACKED_BYTES: Final = 250 * 1024 * 1024

# --- Amazon API Gateway, HTTP APIs -------------------------------------------------------------------------
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
HTTP_API_TIMEOUT_SECONDS: Final = 30
"""After which an integration that has not answered is given up; it cannot be raised."""
HTTP_API_BODY_BYTES: Final = 10_000_000
# https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
HTTP_API_REQUESTS_PER_SECOND: Final = 10_000
"""Of all APIs of an account in a region, to begin with; bursts of 5,000."""
HTTP_API_BURST: Final = 5_000

# --- Amazon DynamoDB ---------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
BATCH_GET_ITEMS: Final = 100
ITEM_BYTES: Final = 400 * 1024
PARTITION_KEY_BYTES: Final = 2_048
WRITE_UNIT_BYTES: Final = 1_024
"""One write unit for each started KB of an item."""
READ_UNIT_BYTES: Final = 4_096
"""One strongly consistent read unit (half for an eventually consistent one) for each started 4 KB."""

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/warm-throughput.html
NEW_TABLE_WRITE_UNITS_PER_SECOND: Final = 4_000
NEW_TABLE_READ_UNITS_PER_SECOND: Final = 12_000
"""What an on-demand table that was never busier takes at once; after a peak it takes twice that peak.

Both can be raised (warm throughput), for a charge, and cannot be lowered again.
"""
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
TABLE_UNITS_PER_SECOND: Final = 40_000
"""Read units, and write units, of an on-demand table: the default quota, up to which it can be warmed."""

# --- Amazon S3 ---------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
KEY_BYTES: Final = 1_024
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
OBJECT_BYTES: Final = 50 * 1024**4
"""Since December 2025; 5 TB before."""
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
LIST_PAGE_KEYS: Final = 1_000
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
GETS_PER_SECOND: Final = 5_500
"""Of one partitioned prefix, to begin with."""

# --- Amazon S3 Vectors -------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-limitations.html; tests/unit/test_vector_index.py
# compares with botocore's model what that has too.
VECTOR_DIMENSION: Final = 4_096
"""Numbers of a vector, at most."""
VECTOR_KEY_CHARACTERS: Final = 1_024
VECTORS_PER_PUT: Final = 500
VECTORS_PER_DELETE: Final = 500
VECTORS_PER_GET: Final = 100
VECTORS_PER_LIST: Final = 1_000
VECTOR_LIST_SEGMENTS: Final = 16
"""Segments of a parallel listing."""
VECTORS_PER_QUERY: Final = 100
"""topK of one QueryVectors."""
VECTOR_REQUEST_BYTES: Final = 20 * 1024**2
VECTOR_METADATA_BYTES: Final = 40 * 1024
"""Filterable and not, together."""
VECTOR_FILTERABLE_BYTES: Final = 2 * 1024
VECTOR_METADATA_KEYS: Final = 50
VECTOR_NON_FILTERABLE_KEYS: Final = 10
INDEX_WRITES_PER_SECOND: Final = 1_000
"""PutVectors and DeleteVectors requests of one index."""
INDEX_VECTORS_PER_SECOND: Final = 2_500
"""Vectors put and deleted in one index: what bounds a run that fills it."""
INDEX_VECTORS: Final = 2_000_000_000

# --- Amazon CloudWatch -------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
LOG_RETENTION_DAYS: Final = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
DASHBOARD_METRICS: Final = 2_500
DASHBOARD_WIDGETS: Final = 500
DASHBOARD_FREE_METRICS: Final = 50
"""A dashboard of no more is one of the account's three free ones. https://aws.amazon.com/cloudwatch/pricing/"""
ALARM_ACTIONS: Final = 5
"""Actions of an alarm for each of its states."""

# --- Amazon SNS --------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
SUBJECT_CHARACTERS: Final = 100

# --- Amazon EventBridge, EventBridge Scheduler -------------------------------------------------------------
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
EVENT_PATTERN_CHARACTERS: Final = 4_096
# https://docs.aws.amazon.com/eventbridge/latest/userguide/calculate-putevents-entry-size.html
EVENT_BYTES: Final = 256 * 1024
"""Source, detail type and detail of one entry of PutEvents."""
# https://docs.aws.amazon.com/scheduler/latest/APIReference/API_FlexibleTimeWindow.html
SCHEDULE_WINDOW_MINUTES: Final = 1_440

# --- Amazon SQS, as a source of a Lambda function's events -------------------------------------------------
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html
QUEUE_BATCH_MESSAGES: Final = 10_000
"""Messages of one invocation; fewer where they are more than 6 MB together (some 4,000 uploads)."""
QUEUE_BATCH_WINDOW_SECONDS: Final = 300
MIN_QUEUE_CONCURRENCY: Final = 2
"""The least that an event source mapping may be limited to."""
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
QUEUE_VISIBILITY_TIMEOUTS: Final = 6
"""A queue's visibility timeout should be this many times the function's timeout, plus the batching window."""
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
QUEUE_RETENTION_DAYS: Final = 14
