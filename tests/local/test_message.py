"""The message at the end of a run, as the topic gets it."""

from __future__ import annotations

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

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
