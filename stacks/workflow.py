"""The state machine, from its ASL file, and its role.

`DefinitionBody.from_file` grants nothing, so what CDK's task classes would grant is spelled out here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from stacks.compute import Compute
from stacks.config import PipelineConfig
from stacks.data_stack import DataStack
from stacks.encryption import allow_use
from stacks.functions import Functions
from stepvec.rows.model import ModelIdentity

TOLERATED_FAILURE_PERCENTAGE: Final = 100
"""A failed shard does not stop others: VerifyRun, not the Map, decides whether the run is complete."""
BATCH_SYNC_RULE: Final = "StepFunctionsGetEventsForBatchJobsRule"
"""The EventBridge rule by which `.sync` learns of a job's end.

https://docs.aws.amazon.com/step-functions/latest/dg/connect-batch.html
"""


class Workflow(Construct):
    """The state machine EmbedImages."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        definition: Path,
        functions: Functions,
        compute: Compute,
        data: DataStack,
        config: PipelineConfig,
        model: ModelIdentity,
    ) -> None:
        super().__init__(scope, construct_id)
        self.state_machine = stepfunctions.StateMachine(
            self,
            "EmbedImages",
            state_machine_type=stepfunctions.StateMachineType.STANDARD,
            tracing_enabled=config.xray or None,
            definition_body=stepfunctions.DefinitionBody.from_file(str(definition)),
            definition_substitutions={
                "ListImagesFunction": functions.list_images.function_arn,
                "ShardImagesFunction": functions.shard_images.function_arn,
                "VerifyShardFunction": functions.verify_shard.function_arn,
                "VerifyRunFunction": functions.verify_run.function_arn,
                "JobQueue": compute.queue.job_queue_arn,
                "JobDefinition": compute.job_definition.job_definition_arn,
                "WorkBucket": data.work_bucket.bucket_name,
                "MaxConcurrency": str(config.map_concurrency),
                "ToleratedFailurePercentage": str(TOLERATED_FAILURE_PERCENTAGE),
                "Partition": cdk.Aws.PARTITION,
                # A run keeps the definition that it was started with, and so these, when another version is deployed.
                "Model": str(model),
                "Table": data.table.table_name,
                "VectorType": config.vector_type,
            },
        )
        self._grant(functions, compute, data)

    def _grant(self, functions: Functions, compute: Compute, data: DataStack) -> None:
        stack = cdk.Stack.of(self)
        machine = self.state_machine
        # "job-definition/NAME", the sixth part of the ARN, which ends with a revision.
        definition = cdk.Fn.select(5, cdk.Fn.split(":", compute.job_definition.job_definition_arn))
        revisions = stack.format_arn(
            service="batch", resource=definition, resource_name="*", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
        )
        rule = stack.format_arn(service="events", resource="rule", resource_name=BATCH_SYNC_RULE)
        for actions, resources in (
            (["lambda:InvokeFunction"], [function.function_arn for function in functions.all]),
            (
                ["batch:SubmitJob"],
                # Every revision: a run that another version started submits the revision of that version.
                [revisions, compute.queue.job_queue_arn],
            ),
            # https://docs.aws.amazon.com/batch/latest/userguide/batch-supported-iam-actions-resources.html: a job for
            # TerminateJob, and no resource-level permission for DescribeJobs.
            (["batch:TerminateJob"], [stack.format_arn(service="batch", resource="job", resource_name="*")]),
            (["batch:DescribeJobs"], ["*"]),
            (["events:PutTargets", "events:PutRule", "events:DescribeRule"], [rule]),
            (["s3:GetObject"], [data.work_bucket.arn_for_objects("runs/*/shards.json")]),
        ):
            machine.add_to_role_policy(iam.PolicyStatement(actions=actions, resources=resources))
        # The Map reads shards.json itself.
        allow_use(machine.role, data.key, write=False)
        # A policy of its own: in the role's default policy, on which the machine depends, its ARN makes a cycle.
        # Children of a Map run are named machine/label:id; AWS's own example names machine:*, so both are there.
        # https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
        executions = [
            stack.format_arn(
                service="states",
                resource="execution",
                resource_name=f"{machine.state_machine_name}{separator}*",
                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
            )
            for separator in (":", "/")
        ]
        iam.Policy(
            self,
            "MapRunPolicy",
            roles=[machine.role],
            statements=[
                iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine.state_machine_arn]),
                iam.PolicyStatement(actions=["states:DescribeExecution", "states:StopExecution"], resources=executions),
            ],
        )
