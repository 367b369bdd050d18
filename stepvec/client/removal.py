"""Removing a deployment: its pipeline alone, or all that it stored as well."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from stepvec.adapters.aws_errors import error_code
from stepvec.adapters.executions import RUNNING
from stepvec.client.deployment import NoSuchStackError, find_stack
from stepvec.client.runs import poll_pauses
from stepvec.errors import InvalidInputError, StorageError

BUCKET: Final = "AWS::S3::Bucket"
TABLES: Final = frozenset({"AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"})
KEY: Final = "AWS::KMS::Key"
VECTOR_BUCKET: Final = "AWS::S3Vectors::VectorBucket"
MACHINE: Final = "AWS::StepFunctions::StateMachine"
MAX_COUNTED: Final = 100_000
"""Objects and rows that are counted before someone is asked; with more it says "more than"."""
KEY_WAITING_DAYS: Final = 7
"""The shortest time until KMS deletes a key. https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html"""
BATCH_OBJECTS: Final = 1_000
"""Objects of one DeleteObjects. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""
_GONE: Final = frozenset({"NoSuchBucket", "404", "NotFound", "ResourceNotFoundException", "NotFoundException"})
_EMPTYING_ATTEMPTS: Final = 5
"""An upload may come while a bucket is emptied."""

Client = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """What a data stack holds: buckets, tables and indexes that it made, with how much is in each, and keys."""

    buckets: dict[str, int]
    """Versions of objects by bucket, up to MAX_COUNTED + 1."""
    tables: dict[str, int]
    keys: tuple[str, ...]
    vector_buckets: dict[str, int]
    """Vectors by the ARN of a vector bucket, up to MAX_COUNTED + 1: in all its indexes, those of earlier models too."""


def find_stored(client: Client, data_stack: str) -> Stored:
    """What would be lost with the stack. A bucket or table of the user's own is not the stack's, and not in it."""
    resources = list(_resources(client, data_stack))
    return Stored(
        buckets={name: _count_versions(client("s3"), name) for kind, name in resources if kind == BUCKET},
        tables={name: _count_rows(client("dynamodb"), name) for kind, name in resources if kind in TABLES},
        keys=tuple(name for kind, name in resources if kind == KEY),
        vector_buckets={
            name: _count_vectors(client("s3vectors"), name) for kind, name in resources if kind == VECTOR_BUCKET
        },
    )


def check_nothing_runs(client: Client, pipeline_stack: str) -> None:
    """Raises InvalidInputError while a run of the pipeline is going."""
    for kind, machine in _resources(client, pipeline_stack):
        if kind == MACHINE:
            answer = client("stepfunctions").list_executions(
                stateMachineArn=machine, statusFilter=RUNNING, maxResults=1
            )
            for execution in answer["executions"]:
                raise InvalidInputError(
                    f"The run {execution['name']} is still going.",
                    remedy=f"Wait for its end, or stop it: stepvec cancel {execution['name']}",
                )


def exists(client: Client, stack: str) -> bool:
    """Whether there is a stack of that name."""
    try:
        find_stack(client("cloudformation"), stack)
    except NoSuchStackError:
        return False
    return True


def delete_stack(client: Client, stack: str, *, local: bool = False) -> None:
    """Delete the stack and wait until it is gone. Raises StorageError where CloudFormation cannot."""
    cloudformation = client("cloudformation")
    stack_id = find_stack(cloudformation, stack)["StackId"]
    cloudformation.delete_stack(StackName=stack_id)
    for pause in poll_pauses(local=local):
        try:
            found = find_stack(cloudformation, stack_id)
        except NoSuchStackError:
            return
        if found["StackStatus"] == "DELETE_COMPLETE":
            return
        if found["StackStatus"] == "DELETE_FAILED":
            raise StorageError(
                f"CloudFormation could not delete {stack}: {found.get('StackStatusReason', 'it says no reason')}.",
                remedy="See the stack's events in the console, and run this again.",
            )
        time.sleep(pause)


def delete_stored(
    client: Client, data_stack: str, stored: Stored, on_step: Callable[[str], None], *, local: bool = False
) -> None:
    """Delete the data stack with all that it stored. Interrupted, it is done by running it again."""
    cloudformation = client("cloudformation")
    on_step(f"Taking the termination protection off {data_stack}")
    cloudformation.update_termination_protection(StackName=data_stack, EnableTerminationProtection=False)
    for bucket in stored.buckets:
        on_step(f"Emptying and deleting the bucket {bucket}")
        _delete_bucket(client("s3"), bucket)
    for table in stored.tables:
        on_step(f"Deleting the table {table}")
        _delete_table(client("dynamodb"), table)
    for bucket in stored.vector_buckets:
        on_step(f"Deleting the vector bucket {bucket.rpartition('/')[2]} with its indexes")
        _delete_vector_bucket(client("s3vectors"), bucket)
    for key in stored.keys:
        on_step(f"Scheduling the deletion of the key {key} in {KEY_WAITING_DAYS} days")
        _delete_key(client("kms"), key)
    # The stack last: while it is there, what is left can be found again.
    on_step(f"Deleting the stack {data_stack}")
    delete_stack(client, data_stack, local=local)


def _resources(client: Client, stack: str) -> Iterator[tuple[str, str]]:
    """Type and physical id of each resource of the stack; nothing where there is none."""
    if not exists(client, stack):
        return
    for page in client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack):
        for resource in page["StackResourceSummaries"]:
            yield resource["ResourceType"], resource.get("PhysicalResourceId", "")


def _versions(s3: Any, bucket: str) -> Iterator[dict[str, str]]:
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                yield {"Key": entry["Key"], "VersionId": entry["VersionId"]}
    except ClientError as error:
        if error_code(error) not in _GONE:
            raise


def _count_versions(s3: Any, bucket: str) -> int:
    count = 0
    for count, _ in enumerate(_versions(s3, bucket), 1):
        if count > MAX_COUNTED:
            break
    return count


def _count_rows(dynamodb: Any, table: str) -> int:
    """Rows, counted: DynamoDB's own count is up to six hours old."""
    count = 0
    try:
        for page in dynamodb.get_paginator("scan").paginate(TableName=table, Select="COUNT"):
            count += page["Count"]
            if count > MAX_COUNTED:
                break
    except ClientError as error:
        if error_code(error) not in _GONE:
            raise
    return count


def _indexes(vectors: Any, bucket: str) -> Iterator[str]:
    """The ARN of each index of the vector bucket of this ARN; nothing where it is gone."""
    try:
        for page in vectors.get_paginator("list_indexes").paginate(vectorBucketArn=bucket):
            yield from (index["indexArn"] for index in page["indexes"])
    except ClientError as error:
        if error_code(error) not in _GONE:
            raise


def _count_vectors(vectors: Any, bucket: str) -> int:
    count = 0
    for index in _indexes(vectors, bucket):
        for page in vectors.get_paginator("list_vectors").paginate(indexArn=index):
            count += len(page["vectors"])
            if count > MAX_COUNTED:
                return count
    return count


def _delete_vector_bucket(vectors: Any, bucket: str) -> None:
    for index in list(_indexes(vectors, bucket)):
        vectors.delete_index(indexArn=index)
    try:
        vectors.delete_vector_bucket(vectorBucketArn=bucket)
    except ClientError as error:
        if error_code(error) not in _GONE:
            raise


def _delete_bucket(s3: Any, bucket: str) -> None:
    for attempt in range(_EMPTYING_ATTEMPTS):
        _empty(s3, bucket)
        try:
            s3.delete_bucket(Bucket=bucket)
        except ClientError as error:
            if error_code(error) in _GONE:
                return
            if error_code(error) != "BucketNotEmpty" or attempt == _EMPTYING_ATTEMPTS - 1:
                raise
        else:
            return


def _empty(s3: Any, bucket: str) -> None:
    batch: list[dict[str, str]] = []
    for version in _versions(s3, bucket):
        batch.append(version)
        if len(batch) == BATCH_OBJECTS:
            _delete_objects(s3, bucket, batch)
            batch = []
    if batch:
        _delete_objects(s3, bucket, batch)


def _delete_objects(s3: Any, bucket: str, versions: list[dict[str, str]]) -> None:
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": versions, "Quiet": True})
    for error in answer.get("Errors", []):
        raise StorageError(
            f"S3 does not delete s3://{bucket}/{error['Key']}: {error['Code']} {error.get('Message', '')}.",
            remedy="Take away what holds it (object lock, a bucket policy), and run this again.",
        )


def _delete_table(dynamodb: Any, table: str) -> None:
    try:
        if dynamodb.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled"):
            dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
            dynamodb.get_waiter("table_exists").wait(TableName=table)
        dynamodb.delete_table(TableName=table)
    except ClientError as error:
        if error_code(error) not in _GONE:
            raise


def _delete_key(kms: Any, key: str) -> None:
    try:
        if kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] != "PendingDeletion":
            kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=KEY_WAITING_DAYS)
    except ClientError as error:
        if error_code(error) not in _GONE:
            raise
