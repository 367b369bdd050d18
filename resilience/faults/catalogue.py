"""Every kind of fault: its name, how it is prepared, and on how many images. A new one is added here.

What it does is in network_faults, process_faults or model_faults, AWS's errors in aws_errors.
"""

from __future__ import annotations

from typing import Final

from resilience.faults import aws_errors
from resilience.faults import network_faults as network
from resilience.faults import process_faults as processes
from resilience.faults.fault_kinds import (
    Kind,
    at_rate,
    broken_model,
    deleted,
    disk_full,
    disrupted_at_images,
    disrupted_at_puts,
    function_crash,
    function_timeout,
    host_lost,
    image_denied,
    image_unreadable,
    older_rows,
    overwritten,
    refused,
    refused_at_images,
    stopped,
)
from resilience.faults.model_faults import ModelDirectory
from resilience.faults.network_faults import AnswerLost, BrokenBody
from stepvec.runs.outcome import FailureReason

_MANY: Final = (1000, 4)
_ROWS: Final = (500, 4)
_SOME: Final = (300, 4)
_FEW: Final = (60, 10)

KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(
            "dynamodb-unprocessed",
            "DynamoDB: UnprocessedItems, UnprocessedKeys",
            at_rate(network.Unprocessed),
            *_ROWS,
        ),
        Kind(
            "dynamodb-stale",
            "DynamoDB: an eventually consistent read misses what was just written",
            at_rate(network.Stale),
            *_ROWS,
            rate=1.0,
        ),
        Kind(
            "dynamodb-older",
            "DynamoDB: an eventually consistent read answers the row that was there before",
            older_rows,
            *_ROWS,
            rate=1.0,
        ),
        Kind(
            "dynamodb-throughput",
            "DynamoDB: ProvisionedThroughputExceededException",
            refused(network.dynamodb_call, aws_errors.throughput_exceeded),
            *_ROWS,
        ),
        Kind(
            "dynamodb-throttling",
            "DynamoDB: ThrottlingException",
            refused(network.dynamodb_call, aws_errors.throttled),
            *_ROWS,
        ),
        Kind(
            "dynamodb-500",
            "DynamoDB: InternalServerError 500",
            refused(network.dynamodb_call, aws_errors.dynamodb_failed),
            *_ROWS,
        ),
        Kind(
            "dynamodb-answer-lost",
            "DynamoDB: done, and the answer is lost (reset or 500)",
            at_rate(lambda kind: AnswerLost(kind, network.dynamodb_call, aws_errors.dynamodb_failed)),
            *_ROWS,
        ),
        Kind(
            "dynamodb-denied",
            "DynamoDB: access denied in the middle of a shard",
            refused_at_images(network.dynamodb_write, aws_errors.dynamodb_denied),
            *_SOME,
        ),
        Kind("s3-slow-down", "S3: 503 SlowDown", refused(network.s3_call, aws_errors.slow_down), *_MANY),
        Kind("s3-500", "S3: 500 InternalError", refused(network.s3_call, aws_errors.s3_failed), *_MANY),
        Kind(
            "s3-reset",
            "S3: connection reset in the middle of a body",
            at_rate(lambda kind: BrokenBody(kind, network.s3_read, "reset")),
            *_MANY,
        ),
        Kind(
            "s3-truncated",
            "S3: body shorter than its Content-Length",
            at_rate(lambda kind: BrokenBody(kind, network.s3_read, "truncated")),
            *_MANY,
        ),
        Kind(
            "s3-slow-body",
            "S3: body at 1 KB/s",
            at_rate(lambda kind: BrokenBody(kind, network.s3_read, "slow")),
            *_MANY,
        ),
        Kind(
            "s3-answer-lost",
            "S3: written, and the answer is lost (reset or 500)",
            at_rate(lambda kind: AnswerLost(kind, network.s3_write, aws_errors.s3_failed)),
            *_FEW,
        ),
        Kind("s3-deleted", "Object deleted between listing and reading, or just after", deleted, *_MANY),
        Kind("s3-overwritten", "Object overwritten between listing and reading, or just after", overwritten, *_MANY),
        Kind("s3-denied", "S3: 403 AccessDenied for an image", image_denied, *_MANY),
        Kind("s3-unreadable", "S3: 400 for an image (SSE-C, or its KMS key is gone)", image_unreadable, *_MANY),
        Kind(
            "clock-skew",
            "Clock of a host is wrong (S3: RequestTimeTooSkewed)",
            refused_at_images(network.image_read, aws_errors.clock_skewed),
            *_SOME,
        ),
        Kind(
            "batch-throttled",
            "Batch: SubmitJob answers 429",
            refused(network.is_submit, aws_errors.submit_throttled),
            *_FEW,
            rate=0.5,
        ),
        Kind(
            "batch-answer-lost",
            "Batch: job submitted, and the answer is lost: two jobs for one shard",
            at_rate(lambda kind: AnswerLost(kind, network.is_submit, aws_errors.submit_failed)),
            *_FEW,
        ),
        Kind(
            "lambda-service-error",
            "Lambda: 429 and 500, before, after and while the function runs",
            at_rate(network.ServiceError),
            *_FEW,
            rate=0.5,
        ),
        Kind(
            "lambda-twice",
            "Lambda: invoked twice for one event, in turn and at once",
            at_rate(network.InvokedTwice),
            *_FEW,
            rate=0.6,
        ),
        Kind("lambda-crash", "Lambda: killed in the middle", function_crash, 40, 2),
        Kind("lambda-timeout", "Lambda: timed out in the middle", function_timeout, 40, 2),
        Kind("worker-killed", "Worker: kill -9 of the container", disrupted_at_images(processes.kill_group), *_SOME),
        Kind("worker-terminated", "Worker: SIGTERM (Spot)", disrupted_at_images(processes.terminate), *_SOME),
        Kind("host-lost", "Worker: host lost (Spot), SIGTERM and then SIGKILL", host_lost, *_SOME),
        Kind(
            "worker-memory",
            "Worker: out of memory (137, or an allocation fails)",
            # An image in the hands of two processes that are killed is blamed (decision 0081); the next run tries it.
            disrupted_at_images(
                processes.run_out_of_memory, FailureReason.PROCESS_CRASHED, FailureReason.DECODER_CRASHED
            ),
            *_SOME,
        ),
        Kind("disk-full", "Worker and VerifyRun: disk full", disk_full, *_SOME, moments=4),
        Kind(
            "model-corrupt",
            "Model: one bit of the weights is another",
            broken_model(ModelDirectory.corrupt),
            40,
            4,
            moments=3,
        ),
        Kind("model-other", "Model: other weights", broken_model(ModelDirectory.replace_by_another), 40, 4, moments=3),
        Kind(
            "vectors-throttled",
            "S3 Vectors: 429 TooManyRequestsException",
            refused(network.vectors_call, aws_errors.vectors_throttled),
            *_ROWS,
            has_index=True,
        ),
        Kind(
            "vectors-500",
            "S3 Vectors: 500 InternalServerException",
            refused(network.vectors_call, aws_errors.vectors_failed),
            *_ROWS,
            has_index=True,
        ),
        Kind(
            "vectors-answer-lost",
            "S3 Vectors: done, and the answer is lost (reset or 500)",
            at_rate(lambda kind: AnswerLost(kind, network.vectors_call, aws_errors.vectors_failed)),
            *_ROWS,
            has_index=True,
        ),
        Kind(
            "vectors-killed",
            "Worker: kill -9 of the container while it puts vectors",
            disrupted_at_puts(processes.kill_group),
            *_SOME,
            has_index=True,
        ),
        Kind("stopped", "Execution stopped halfway, and started again", stopped, *_SOME, moments=4),
    )
}
