"""The pipeline's Lambda functions, one role each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from stacks.config import PipelineConfig
from stacks.data_stack import DataStack
from stacks.encryption import allow_use
from stacks.telemetry import log_group
from stepvec import codec
from stepvec.estimate.request_counts import FUNCTION_MEMORY_MB
from stepvec.rows.model import ModelIdentity
from stepvec.runs.layout import KNOWN_FAILURES

TIMEOUT_MINUTES: Final = 15
RUNTIME: Final = lambda_.Runtime.PYTHON_3_11
"""The version that the tests run on."""


class Functions(Construct):
    """ListImages, ShardImages, VerifyShard, VerifyRun."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        code: Path,
        data: DataStack,
        config: PipelineConfig,
        model: ModelIdentity,
        worker_logs: logs.ILogGroup,
        worker_version: str,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        self._config = config
        self._key = data.key
        self._code = lambda_.Code.from_asset(str(code))
        images, work, table = data.image_bucket, data.work_bucket, data.table
        run_files, known_failures = work.arn_for_objects("runs/*"), work.arn_for_objects(f"{KNOWN_FAILURES}*")
        buckets = {"STEPVEC_IMAGE_BUCKET": images.bucket_name, "STEPVEC_WORK_BUCKET": work.bucket_name}
        version = {"STEPVEC_WORKER_VERSION": worker_version}
        stored = {"STEPVEC_TABLE": table.table_name, "STEPVEC_MODEL": str(model)}
        read_marks = _allow("dynamodb:BatchGetItem", table.table_arn)
        index = {"STEPVEC_VECTOR_INDEX": data.vector_index.arn} if data.vector_index else {}
        read_index = [data.vector_index.allow("GetVectors")] if data.vector_index else []
        # Without ListBucket S3 answers 403, not 404, for a file that is not there yet.
        know_files = _allow("s3:ListBucket", work.bucket_arn)
        self.list_images = self.create(
            "ListImages",
            environment={
                **buckets,
                "STEPVEC_SHARD_SIZE": str(config.shard_size),
                "STEPVEC_SUFFIXES": ",".join(config.suffix_rule.more),
            },
            statements=[
                _allow("s3:ListBucket", images.bucket_arn),
                # Manifests may lie in both buckets; HeadObject of the images they name is GetObject, too.
                _allow("s3:GetObject", images.arn_for_objects("*"), work.arn_for_objects("*")),
                know_files,
                _allow("s3:PutObject", run_files),
            ],
        )
        self.shard_images = self.create(
            "ShardImages",
            environment={"STEPVEC_WORK_BUCKET": work.bucket_name, **stored, **version, **index},
            statements=[
                _allow("s3:GetObject", run_files, known_failures),
                know_files,
                _allow("s3:PutObject", run_files),
                read_marks,
                # Whether there is any row.
                _allow("dynamodb:Scan", table.table_arn),
                *read_index,
            ],
        )
        self.verify_shard = self.create(
            "VerifyShard",
            environment={
                "STEPVEC_WORK_BUCKET": work.bucket_name,
                **stored,
                "STEPVEC_WORKER_LOG_GROUP": worker_logs.log_group_name,
                **index,
            },
            statements=[
                # To quote the last log lines of a failed job in the report.
                _allow("logs:GetLogEvents", worker_logs.log_group_arn),
                _allow("s3:GetObject", run_files),
                know_files,
                _allow("s3:PutObject", work.arn_for_objects("runs/*/verified/*")),
                read_marks,
                *read_index,
            ],
        )
        self.verify_run = self.create(
            "VerifyRun",
            environment={
                **buckets,
                **stored,
                "STEPVEC_VECTOR_TYPE": config.vector_type,
                "STEPVEC_CAPACITY": codec.to_json(config.capacity),
                "STEPVEC_TOPIC_ARN": topic.topic_arn,
                "STEPVEC_DEPLOYMENT": cdk.Stack.of(self).stack_name,
            },
            statements=[
                _allow("sns:Publish", topic.topic_arn),
                _allow("events:PutEvents", events.EventBus.from_event_bus_name(self, "Bus", "default").event_bus_arn),
                # HeadObject, to know whether the file is there, is GetObject, too.
                _allow("s3:GetObject", run_files, known_failures),
                know_files,
                _allow(
                    "s3:PutObject",
                    work.arn_for_objects("runs/*/failures.jsonl"),
                    work.arn_for_objects("runs/*/report.json"),
                    known_failures,
                ),
            ],
        )

    @property
    def all(self) -> list[lambda_.Function]:
        """Every function of the pipeline."""
        return [self.list_images, self.shard_images, self.verify_shard, self.verify_run]

    def create(
        self,
        name: str,
        *,
        environment: Mapping[str, str],
        statements: Sequence[iam.PolicyStatement],
        timeout: cdk.Duration | None = None,
    ) -> lambda_.Function:
        """A function of the package that `name` is in snake case, with a role that allows only `statements`."""
        group = log_group(self, f"{name}Logs", self._config, self._key)
        role = iam.Role(self, f"{name}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        # Instead of the managed AWSLambdaBasicExecutionRole, which may write to every log group of the account.
        group.grant_write(role)
        for statement in statements:
            role.add_to_policy(statement)
        allow_use(role, self._key)
        package = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
        return lambda_.Function(
            self,
            name,
            code=self._code,
            handler=f"lambdas.{package}.handler.handle",
            runtime=RUNTIME,
            architecture=lambda_.Architecture.ARM_64,
            timeout=timeout or cdk.Duration.minutes(TIMEOUT_MINUTES),
            memory_size=FUNCTION_MEMORY_MB,
            environment={
                **environment,
                "POWERTOOLS_LOG_LEVEL": "INFO",
                "POWERTOOLS_SERVICE_NAME": cdk.Stack.of(self).stack_name,
            },
            log_group=group,
            role=role,
            tracing=lambda_.Tracing.ACTIVE if self._config.xray else None,
        )


def _allow(action: str, *resources: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=[action], resources=list(resources))
