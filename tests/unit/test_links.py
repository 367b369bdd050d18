"""Links to AWS's console, in each partition."""

from __future__ import annotations

import pytest

from stepvec.runs.links import execution_link, log_link

ARN = "arn:{}:states:{}:123456789012:execution:machine/EmbedShards:child"


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "eu-west-1", "eu-west-1.console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_an_execution_has_a_page_in_the_console_of_its_partition(partition: str, region: str, host: str) -> None:
    arn = ARN.format(partition, region)
    assert execution_link(arn) == f"https://{host}/states/home?region={region}#/v2/executions/details/{arn}"


def test_names_of_logs_are_escaped_as_the_console_does() -> None:
    link = log_link(ARN.format("aws", "us-east-1"), "/stepvec/worker", "worker/default/0a1b")
    assert link.endswith("#logsV2:log-groups/log-group/$252Fstepvec$252Fworker/log-events/worker$252Fdefault$252F0a1b")


def test_what_is_unknown_has_no_page() -> None:
    assert execution_link("") == ""
    assert log_link(ARN.format("aws", "us-east-1"), "group", "") == ""
    assert log_link("", "group", "stream") == ""
