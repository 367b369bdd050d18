"""What a deployment does when it is changed or removed, and whether its alarms can speak."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, Final

from resilience.proof_on_aws.findings import Finding, NotHere, Verdict
from resilience.proof_on_aws.subject import ALARM_SECONDS, Subject, end_of, in_words, job_parameters, wait_for
from stepvec.client.removal import exists

SETTINGS: Final[dict[str, Any]] = {"max_vcpus": 2, "shard_size": 1, "log_retention_days": 1}
"""Of the deployment that is tried: two shards of one image at a time."""
OTHER_SETTINGS: Final[dict[str, Any]] = {"vector_type": "float16"}
"""What a deployment in mid-run changes: the job definition's variables, and functions'."""


def alarms(subject: Subject) -> Iterator[Finding]:
    """Whether each alarm, set off by hand, can send its message."""
    check = "alarms"
    cloudwatch = subject.place.client("cloudwatch")
    names = [
        alarm["AlarmName"]
        for alarm in cloudwatch.describe_alarms(AlarmNamePrefix=f"{subject.place.name}Pipeline")["MetricAlarms"]
    ]
    if not names:
        raise NotHere("No alarm is deployed here.")
    for name in names:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="make proof-on-aws")
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="make proof-on-aws")

        def read(name: str = name) -> list[str]:
            history = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")
            return [item["HistorySummary"] for item in history["AlarmHistoryItems"]]

        try:
            summaries = wait_for(f"the history of {name}", read, ALARM_SECONDS)
        except TimeoutError as error:
            summaries = [str(error)]
        has_sent = all(summary.startswith("Successfully executed action") for summary in summaries)
        yield Finding(
            check,
            f"Does {name.partition('-')[2]} tell the topic?",
            "Successfully executed action",
            "; ".join(summaries),
            Verdict.AS_EXPECTED if has_sent else Verdict.DIFFERS,
        )


def deploy_in_mid_run(subject: Subject) -> Iterator[Finding]:
    """Whether a run that goes on while a new version is deployed loses anything."""
    check = "deploy in mid-run"
    definition = job_parameters(subject.machine())["JobDefinition"]
    changed, shards = {**SETTINGS, **OTHER_SETTINGS}, subject.place.mid_run_shards
    subject.place.prepare(changed)
    run = subject.start(shards)
    wait_for("the run's shards", lambda: run.progress().to_embed)
    subject.deployment = subject.place.deploy(changed)
    deployed_while_running = run.ended() is None
    ended = end_of(run)
    yield Finding(
        check,
        "Is a run complete in whose middle another version was deployed?",
        f"SUCCEEDED, found {shards}, missing 0",
        in_words(ended) + ("" if deployed_while_running else "; but it had ended before the deployment had"),
        Verdict.AS_EXPECTED
        if deployed_while_running and ended.status == "SUCCEEDED" and ended.report and ended.report.missing == 0
        else Verdict.DIFFERS,
    )
    other = job_parameters(subject.machine())["JobDefinition"]
    (old,) = subject.place.client("batch").describe_job_definitions(jobDefinitions=[definition])["jobDefinitions"]
    yield Finding(
        check,
        "Is the old job definition still active?",
        "a new revision, the old one ACTIVE",
        f"{definition.rpartition('/')[2]} is {old['status']}, now {other.rpartition('/')[2]}",
        Verdict.AS_EXPECTED if old["status"] == "ACTIVE" and other != definition else Verdict.DIFFERS,
    )


def image_bucket(subject: Subject) -> Iterator[Finding]:
    """Whether the setting image_bucket can change, and what becomes of the bucket before."""
    check = "image bucket"
    s3 = subject.place.client("s3")
    created = subject.deployment.image_bucket
    other = f"{subject.place.name.lower()}-proof-{uuid.uuid4().hex[:12]}"
    region = s3.meta.region_name
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=other, **where)
    subject.buckets.append(other)
    subject.deployment = subject.place.deploy({**SETTINGS, **OTHER_SETTINGS, "image_bucket": other})
    yield Finding(
        check,
        "Can the setting change?",
        "the deployment names the other bucket",
        subject.deployment.image_bucket,
        Verdict.AS_EXPECTED if subject.deployment.image_bucket == other else Verdict.DIFFERS,
    )
    ended = end_of(subject.start(1))
    yield Finding(
        check,
        "Is an image of the other bucket embedded?",
        "SUCCEEDED, found 1",
        in_words(ended),
        Verdict.AS_EXPECTED if ended.report and ended.report.found == 1 else Verdict.DIFFERS,
    )
    still = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    subject.buckets.append(created)
    yield Finding(
        check,
        "Is the bucket before kept?",
        "kept, with its images",
        "kept" if created in still else "gone",
        Verdict.AS_EXPECTED if created in still else Verdict.DIFFERS,
    )


def removal(subject: Subject) -> Iterator[Finding]:
    """Whether everything can be removed, protections and all, and what is left."""
    check = "removal"
    deployment, place = subject.deployment, subject.place
    place.destroy()
    left = [stack for stack in (f"{place.name}Pipeline", f"{place.name}Data") if exists(place.client, stack)]
    buckets = {bucket["Name"] for bucket in place.client("s3").list_buckets()["Buckets"]}
    left += sorted({deployment.work_bucket} & buckets)
    left += [deployment.table] if deployment.table in place.client("dynamodb").list_tables()["TableNames"] else []
    yield Finding(
        check,
        "What is left after `stepvec destroy --data`?",
        "nothing",
        ", ".join(left) or "nothing",
        Verdict.DIFFERS if left else Verdict.AS_EXPECTED,
    )
