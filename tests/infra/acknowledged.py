"""What cdk-nag's AwsSolutions pack finds and we keep, each with its reason.

Not as CDK's acknowledgements in the app: those must spell out each finding's id, which holds the names that CDK
generates, so that renaming a construct would lose its reason in silence (docs/decisions/0012).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Acknowledged:
    """Findings of the rule that `rule` matches, at the constructs whose path `path` matches."""

    rule: str
    path: str
    reason: str

    def covers(self, rule: str, path: str) -> bool:
        return bool(re.fullmatch(self.rule, rule) and re.fullmatch(self.path, path))


OUTPUT = r'\{{"Fn::GetStackOutput":\{{"StackName":"StepvecData",.*"OutputName":"\w*{}\w*"\}}\}}'
IMAGES = rf"({OUTPUT.format('Images')}|arn:.*:s3:::[\w.-]+)"
WORK = OUTPUT.format("Work")

ACKNOWLEDGED = [
    Acknowledged(
        "AwsSolutions-S1",
        r"StepvecData/(Images|Work)/Resource",
        "Server access logs would be a third bucket to pay for and to keep private. Who wants to know who read an "
        "image turns on CloudTrail's data events for the bucket, which also name the role.",
    ),
    Acknowledged(
        "AwsSolutions-VPC7",
        r"StepvecPipeline/Network/Vpc/Resource",
        "Flow logs cost by the byte that the images have. Nothing comes into this network, and private has no way out.",
    ),
    Acknowledged(
        r"AwsSolutions-IAM4\[Policy::.*/AmazonEC2ContainerServiceforEC2Role\]",
        r"StepvecPipeline/Batch/(Spot|OnDemand)(Arm64)?/InstanceProfileRole/Resource",
        "The ECS agent's own policy, which AWS keeps up with the agent. Jobs cannot get at the instance's "
        "credentials: IMDSv2 with one hop.",
    ),
    Acknowledged(
        rf"AwsSolutions-IAM5\[Resource::{IMAGES}/\*\]",
        r"StepvecPipeline/(Batch/JobRole|Functions/ListImagesRole)/DefaultPolicy/Resource",
        "Read-only, and any image of the bucket may be named by an input's Paths or Manifest.",
    ),
    Acknowledged(
        rf"AwsSolutions-IAM5\[Resource::{WORK}/\*\]",
        r"StepvecPipeline/Functions/ListImagesRole/DefaultPolicy/Resource",
        "Read-only: a Manifest may lie anywhere in the work bucket.",
    ),
    Acknowledged(
        rf"AwsSolutions-IAM5\[Resource::{WORK}/runs/\*(/[\w.-]+)*(/\*)?\]",
        r"StepvecPipeline/(Batch/JobRole|Functions/\w+Role|Workflow/EmbedImages/Role)/DefaultPolicy/Resource",
        "The files of the runs, whose names are those of executions to come; each role has the kinds that it writes.",
    ),
    Acknowledged(
        rf"AwsSolutions-IAM5\[Resource::{WORK}/uploads/\*\]",
        r"StepvecPipeline/Functions/StartOnUploadRole/DefaultPolicy/Resource",
        "The manifests of uploads, named by what was uploaded; the role may write just these.",
    ),
    Acknowledged(
        rf"AwsSolutions-IAM5\[Resource::{WORK}/known-failures/\*\]",
        r"StepvecPipeline/Functions/(ShardImages|VerifyRun)Role/DefaultPolicy/Resource",
        "Known failures lie by what was embedded (paths or manifest), which executions to come name.",
    ),
    Acknowledged(
        "AwsSolutions-SQS3",
        r"StepvecPipeline/Triggers/ScheduleDeadLetters/Resource",
        "It is a dead-letter queue itself, of EventBridge Scheduler, which the rule does not know.",
    ),
    Acknowledged(
        r"AwsSolutions-IAM5\[Resource::\*\]",
        r"StepvecPipeline/Batch/Container/ExecutionRole/DefaultPolicy/Resource",
        "ecr:GetAuthorizationToken knows no resource; pulling is allowed of the one repository.",
    ),
    Acknowledged(
        r"AwsSolutions-IAM5\[Resource::\*\]",
        r"StepvecPipeline/Workflow/EmbedImages/Role/DefaultPolicy/Resource",
        "batch:DescribeJobs (and X-Ray's actions) know no resource.",
    ),
    Acknowledged(
        r"AwsSolutions-IAM5\[Resource::arn:<AWS::Partition>:batch:.*:(job/|\{.*\}:)\*\]",
        r"StepvecPipeline/Workflow/EmbedImages/Role/DefaultPolicy/Resource",
        "Jobs are terminated by ids not known beforehand; every revision of the one job definition may be submitted.",
    ),
    Acknowledged(
        r"AwsSolutions-IAM5\[Resource::\*\]",
        r"StepvecPipeline/Functions/\w+Role/DefaultPolicy/Resource",
        "With xray only: xray:PutTraceSegments and xray:PutTelemetryRecords know no resource.",
    ),
    Acknowledged(
        r"AwsSolutions-IAM5\[Resource::arn:.*:states:.*:execution:<WorkflowEmbedImages\w+\.Name>[:/]\*\]",
        r"StepvecPipeline/Workflow/MapRunPolicy/Resource",
        "A Distributed Map describes and stops its own children, whose names are not known beforehand.",
    ),
    Acknowledged(
        r"AwsSolutions-IAM5\[Resource::arn:.*:states:.*:execution:<WorkflowEmbedImages\w+\.Name>:\*\]",
        r"StepvecPipeline/Functions/StartByHttpRole/DefaultPolicy/Resource",
        "Read-only: whoever may ask the API may ask about any run of the one machine, whatever started it.",
    ),
    Acknowledged(
        "AwsSolutions-L1",
        r"StepvecPipeline/Functions/\w+/Resource",
        "Python 3.11: the version that the tests run on, the worker's too, and supported by Lambda.",
    ),
    Acknowledged(
        "AwsSolutions-SF1",
        r"StepvecPipeline/Workflow/EmbedImages/Resource",
        "Standard executions and the Map's children keep their history for 90 days; each run has its report.",
    ),
    Acknowledged(
        "AwsSolutions-SF2",
        r"StepvecPipeline/Workflow/EmbedImages/Resource",
        "Tracing costs by the trace and is the setting xray.",
    ),
]
