"""The message and the event at the end of a run, as a topic and a rule's target get them."""

from __future__ import annotations

import json

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from stepvec.client.runs import Run
from tests.local.conftest import Pipeline, photo

pytestmark = pytest.mark.timeout(300)


def test_a_runs_end_is_told_to_the_topic_with_its_counts(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    pipeline.put(f"{folder}/good.jpg", photo(1))
    pipeline.put(f"{folder}/empty.jpg", b"")
    finished = pipeline.run({"Paths": [folder], "MaxFailures": 1}, name=f"told-{folder}")
    assert finished.status == "SUCCEEDED"
    topic = pipeline.cloud.outputs["StepvecPipeline"]["TopicArn"]
    sent = sns_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].topics[topic].sent_notifications
    (text,) = [message for _, message, subject, *_ in sent if f"told-{folder}" in str(subject)]
    assert "embedded 1" in text
    assert "Empty: 1" in text


def test_a_runs_end_is_an_event_that_a_rule_may_match(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    sqs, events = pipeline.cloud.client("sqs"), pipeline.cloud.client("events")
    queue = sqs.create_queue(QueueName=f"after-{folder}")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["stepvec"], "detail": {"deployment": ["StepvecPipeline"], "run": [f"event-{folder}"]}}
    rule_arn = events.put_rule(Name=f"after-{folder}", EventPattern=json.dumps(pattern))["RuleArn"]
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    events.put_targets(Rule=f"after-{folder}", Targets=[{"Id": "queue", "Arn": queue_arn}])

    pipeline.put(f"{folder}/good.jpg", photo(1))
    pipeline.put(f"{folder}/empty.jpg", b"")
    finished = pipeline.run({"Paths": [folder], "MaxFailures": 1}, name=f"event-{folder}")

    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    event = json.loads(message["Body"])
    assert event["detail-type"] == "Stepvec Run Ended"
    execution = Run(pipeline.deployment, finished.ended.run)
    assert event["resources"] == [execution.arn]
    detail = event["detail"]
    assert (detail["complete"], detail["embedded"], detail["failed_by_reason"]) == (True, 1, {"Empty": 1})
    states = pipeline.cloud.client("stepfunctions")
    output = json.loads(states.describe_execution(executionArn=execution.arn)["output"])
    assert {name: detail[name] for name in output} == output
