"""Deployments and their settings."""

from __future__ import annotations

from typing import Final

from tests.cli.mistakes.case import Mistake

_SETTINGS: Final = "STEPVEC_SETTINGS"

DEPLOYMENTS: Final = (
    Mistake(
        "stepvec status --pipeline-stack PhotosPipeline",
        "a deployment that there is not",
        "There is no stack PhotosPipeline in this account in us-east-1.",
        "These are there: --data-stack StepvecData; --pipeline-stack StepvecPipeline.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec status --data-stack PhotosData",
        "the data stack of another of two deployments",
        "There is no stack PhotosData in this account in us-east-1.",
        "These are there: --data-stack StepvecData; --pipeline-stack StepvecPipeline.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec status --data-stack StepvecPipeline --pipeline-stack StepvecData",
        "both stacks, mixed up",
        "The stacks StepvecPipeline and StepvecData have no output 'ImageBucketName'.",
        "Correct --data-stack and --pipeline-stack; if they are right, deploy again with this version.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec deploy --yes",
        "an account that was not bootstrapped for CDK",
        "bootstrap: Account 123456789012 has not been bootstrapped for CDK in us-east-1.",
        "Once for each account and region: npx aws-cdk@2.1148.1 bootstrap aws://123456789012/us-east-1",
        needs_aws=True,
        is_finding=True,
    ),
    Mistake(
        "stepvec destroy",
        "nobody answers the question",
        "Nobody answered the question.",
        "Nothing more was done. See --help for the option that answers it.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec destroy --data",
        "all data, without a word",
        "Nothing was deleted.",
        "Type StepvecData, or give --confirm StepvecData.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec destroy --data --confirm Stepvec",
        "all data, with a wrong name",
        "Nothing was deleted.",
        "Type StepvecData, or give --confirm StepvecData.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec destroy --yes --pipeline-stack PhotosPipeline",
        "a stack that there is not",
        "Account 123456789012 has no stack PhotosPipeline in us-east-1.",
        "See --pipeline-stack.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec plan --images 300",
        "settings that are not JSON",
        "STEPVEC_SETTINGS is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1).",
        'For example: {"upload_trigger": true}.',
        environment={_SETTINGS: "{engine: mxnet}"},
    ),
    Mistake(
        "stepvec plan --images 300",
        "a setting that there is not",
        "There is no setting 'enginee'.",
        "Did you mean engine? docs/configuration.md has all of them.",
        environment={_SETTINGS: '{"enginee": "mxnet"}'},
    ),
    Mistake(
        "stepvec plan --images 300",
        "a value of another kind",
        "The `stepvec` settings of cdk.json: invalid value for type, expected int @ PipelineConfig.max_vcpus.",
        "See docs/configuration.md for what may be set.",
        environment={_SETTINGS: '{"max_vcpus": "many"}'},
    ),
    Mistake(
        "stepvec plan --images 300",
        "a value that is too small",
        "The `stepvec` settings of cdk.json: max_vcpus is 0.",
        "Use a number from 1 to 100,000.",
        environment={_SETTINGS: '{"max_vcpus": 0}'},
    ),
    Mistake(
        "stepvec plan --images 300",
        "a vector type that there is not",
        "The `stepvec` settings of cdk.json: vector_type is 'float64'.",
        "Use one of float32, float16, int8.",
        environment={_SETTINGS: '{"vector_type": "float64"}'},
    ),
    Mistake(
        "stepvec plan --images 300",
        "warm throughput below that of a new table",
        "The `stepvec` settings of cdk.json: warm_throughput is [10, 10].",
        "Give write and read units a second, at least what a new table has: [4000, 12000].",
        environment={_SETTINGS: '{"warm_throughput": [10, 10]}'},
    ),
    Mistake(
        "stepvec plan --images 300",
        "a table of one's own that is to be warmed",
        "The `stepvec` settings of cdk.json: warm_throughput is [12000, 12000], and table is a table of your own, which is used as it is.",
        "Leave warm_throughput empty, and warm the table itself: aws dynamodb update-table --table-name mine --warm-throughput ...",
        environment={_SETTINGS: '{"table": "mine", "warm_throughput": [12000, 12000]}'},
    ),
    Mistake(
        "stepvec plan --images 300",
        "a schedule in words",
        "The `stepvec` settings of cdk.json: 'every day' is not a schedule.",
        'Write "rate(1 day)" or "cron(0 3 * * ? *)": minutes, hours, day of month, month, day of week, year.',
        environment={_SETTINGS: '{"schedule": "every day", "schedule_paths": ["photos"]}'},
    ),
    Mistake(
        "stepvec plan --images 300",
        "a schedule without paths",
        "The `stepvec` settings of cdk.json: schedule_paths is empty, and there is a schedule.",
        'Name prefixes: "schedule_paths": ["images"].',
        environment={_SETTINGS: '{"schedule": "rate(1 day)"}'},
    ),
    Mistake(
        "stepvec plan --images 300",
        "a time zone that there is not",
        "The `stepvec` settings of cdk.json: There is no time zone 'Europe/Atlantis'.",
        "Use a name of the IANA database, such as Europe/Vienna.",
        environment={
            _SETTINGS: '{"schedule": "cron(0 3 * * ? *)", "schedule_timezone": "Europe/Atlantis", "schedule_paths": ["photos"]}'
        },
    ),
    Mistake(
        "stepvec plan photos --pipeline-stack PhotosPipeline",
        "a plan for a deployment that there is not",
        "There is no stack PhotosPipeline in this account in us-east-1.",
        "Deploy it with `make deploy`, set AWS_REGION, or use `stepvec local up`.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec deploy --yes",
        "no credentials",
        "credentials: There are no AWS credentials.",
        "Run `aws configure` or set AWS_PROFILE. Without an AWS account: `stepvec local up --detach`.",
        environment={"AWS_REGION": "eu-central-1"},
        is_finding=True,
    ),
)
