"""Runs, and what they are over."""

from __future__ import annotations

from typing import Final

from tests.cli.mistakes.case import Mistake

RUNS: Final = (
    Mistake(
        "stepvec run photos --name holiday --max-failures 3",
        "a name that another run has",
        "There is a run named 'holiday' already.",
        "Choose another name.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec run photos --name 'my run'",
        "a name that AWS refuses",
        "The run's name holds ' ', which Step Functions does not allow.",
        "Use letters, digits, - and _.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec run photos --name LENGTHY",
        "a name that is too long",
        "The run's name has 81 characters.",
        "Use 1 to 80 letters, digits, - and _.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec run s3://somebody-else/photos",
        "another bucket",
        "Paths[0] is of another bucket (s3://somebody-else).",
        "Only s3://IMAGES/ can be read: copy the images there, or deploy with that bucket.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec run photos --suffix 'a b'",
        "a suffix that cannot be one",
        "Suffixes has 'a b'.",
        'Name suffixes beside those of images, such as ["heif", "raw"], "(none)" for keys without one, or "*" for all keys.',
        needs_aws=True,
    ),
    Mistake(
        "stepvec run photos --shard-size 100000",
        "shards that are too large",
        "ShardSize is 100000.",
        "Use a whole number from 1 to 50,000.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec run --manifest keys.jsonl",
        "a manifest on this machine",
        "'keys.jsonl' is not an S3 URI.",
        "Write s3://BUCKET/KEY.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec run --manifest s3://somebody-else/keys.jsonl",
        "a manifest in another bucket",
        "Manifest is in another bucket (somebody-else).",
        "Put it into s3://WORK/ or s3://IMAGES/.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec plan s3://somebody-else/photos",
        "a plan for another bucket",
        "Paths[0] is of another bucket (s3://somebody-else).",
        "Only s3://IMAGES/ can be read: copy the images there, or deploy with that bucket.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec status holyday",
        "a run that there is not",
        "There is no run 'holyday'.",
        "See `stepvec status`.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec report holyday",
        "the report of a run that there is not",
        "There is no run 'holyday'.",
        "See `stepvec status`.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec repair holyday",
        "the repair of a run that there is not",
        "There is no run 'holyday'.",
        "See `stepvec status`.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec cancel holyday",
        "the end of a run that there is not",
        "There is no run 'holyday'.",
        "See `stepvec status`.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec cancel holiday",
        "the end of a run that has ended",
        "The run holiday has ended already.",
        "There is nothing to stop.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec report 'my run'",
        "a run whose name cannot be one",
        "There is no run 'my run'.",
        "See `stepvec status`.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec export --out vectors --model resnet18_v2/0/standard-1",
        "a model that embedded nothing",
        "The table has no rows of resnet18_v2/0/standard-1, but 2 of MODEL.",
        "Give another --model or other paths.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec export nothing --out vectors",
        "a prefix under which nothing lies",
        "The table has no rows of MODEL under these paths.",
        "Give another --model or other paths.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec export --out vectors --since holyday",
        "since a run that there is not",
        "There is no run 'holyday': AWS forgets one 90 days after its end.",
        "See `stepvec status`, or export the whole table.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec inventory manifest.json",
        "an inventory on this machine",
        "'manifest.json' is not an S3 URI.",
        "Write s3://BUCKET/KEY.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec inventory s3://WORK/manifest.json",
        "an inventory that is not there",
        "S3 failed at reading s3://WORK/manifest.json: An error occurred (NoSuchKey) when calling the GetObject operation: The specified key does not exist.",
        "Check that the bucket or table exists; then start again: only what is missing is done.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec inventory s3://WORK/runs/holiday/report.json",
        "a file that is no inventory",
        "s3://WORK/runs/holiday/report.json is not the manifest of an S3 Inventory in Parquet or ORC (KeyError('fileFormat')).",
        "Give the manifest.json that S3 Inventory wrote. One in CSV needs no conversion.",
        needs_aws=True,
    ),
)
