"""Dashboard, alarms and messages: every metric exists, and is of this deployment only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from stepvec import limits, metrics
from stepvec.runs.outcome import FailureReason
from tests.conftest import ROOT
from tests.infra.test_snapshots import IS_UPDATE, REMEDY
from tests.infra.test_templates import PIPELINE, of_type, one

AWS_METRICS = {
    # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
    "AWS/States": (
        {"ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"},
        {"StateMachineArn"},
    ),
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    "AWS/DynamoDB": (
        {"ReadThrottleEvents", "WriteThrottleEvents", "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"},
        {"TableName"},
    ),
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": ({"Errors", "Throttles"}, {"FunctionName"}),
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
    "AWS/Events": ({"MatchedEvents"}, {"RuleName"}),
}


def dashboard(templates: dict[str, Any]) -> Any:
    """The dashboard's body; what CloudFormation fills in is "<token>"."""
    body = one(templates[PIPELINE], "AWS::CloudWatch::Dashboard")["DashboardBody"]
    parts = body["Fn::Join"][1]
    return json.loads("".join(part if isinstance(part, str) else "<token>" for part in parts))


def shown(templates: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of each metric on the dashboard."""
    for widget in dashboard(templates)["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            if isinstance(metric[0], str):
                names = [part for part in metric if isinstance(part, str)]
                yield names[0], names[1], dict(zip(names[2::2], names[3::2], strict=True))


def alarmed(templates: dict[str, Any]) -> Iterator[tuple[str, str, set[str]]]:
    for alarm in of_type(templates[PIPELINE], "AWS::CloudWatch::Alarm").values():
        queries = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
        for metric in queries or [alarm]:
            yield metric["Namespace"], metric["MetricName"], {entry["Name"] for entry in metric["Dimensions"]}


def test_every_metric_of_aws_exists_with_its_dimensions(templates: dict[str, Any]) -> None:
    used = [(space, name, set(dimensions)) for space, name, dimensions in shown(templates)] + list(alarmed(templates))
    for namespace, name, dimensions in used:
        if namespace != "Stepvec":
            names, expected = AWS_METRICS[namespace]
            assert name in names
            assert dimensions == expected


def constants() -> dict[str, str]:
    """The names of the metrics' constants, by function that writes them."""
    found: dict[str, str] = {}
    for name, value in vars(metrics).items():
        if isinstance(value, metrics.Metric):
            found[name] = value.writer
    return found


@pytest.mark.parametrize("writer", sorted({metric.writer for metric in metrics.METRICS}))
def test_each_function_writes_the_metrics_that_the_list_says(writer: str) -> None:
    source = (ROOT / "lambdas" / writer / "handler.py").read_text()
    written = re.findall(r"\b(?:measure|measure_part)\(\s*([A-Z_]+),", source)
    assert sorted(written) == sorted(name for name, by in constants().items() if by == writer)
    assert len(constants()) == len(metrics.METRICS)


def test_nobody_writes_a_metric_past_the_list() -> None:
    sources = [path for folder in ("lambdas", "stepvec", "worker_image") for path in (ROOT / folder).rglob("*.py")]
    writers = [path.name for path in sources if re.search(r"add_metric\(|single_metric\(", path.read_text())]
    assert writers == ["telemetry.py"]


def test_every_metric_of_ours_on_the_dashboard_is_in_the_list(templates: dict[str, Any]) -> None:
    ours = [(name, dimensions) for namespace, name, dimensions in shown(templates) if namespace == "Stepvec"]
    listed = {metric.name: metric for metric in metrics.METRICS}
    for name, dimensions in ours:
        split = {name: value for name, value in dimensions.items() if name != metrics.DEPLOYMENT_DIMENSION}
        assert set(split) == {listed[name].dimension} - {""}
        assert set(split.values()) <= set(listed[name].values)
    # The stack's name: two deployments in one account never mix.
    assert {dimensions["service"] for _, dimensions in ours} == {PIPELINE}
    functions = of_type(templates[PIPELINE], "AWS::Lambda::Function").values()
    names = {function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] for function in functions}
    assert names == {PIPELINE}


def test_every_reason_of_a_failure_is_on_the_dashboard(templates: dict[str, Any]) -> None:
    reasons = {dimensions["reason"] for _, _, dimensions in shown(templates) if "reason" in dimensions}
    assert reasons == {reason.value for reason in FailureReason}


def test_the_dashboard_is_within_cloudwatchs_quotas(templates: dict[str, Any]) -> None:
    widgets = dashboard(templates)["widgets"]
    assert len(widgets) <= limits.DASHBOARD_WIDGETS
    assert len(list(shown(templates))) <= limits.DASHBOARD_FREE_METRICS < limits.DASHBOARD_METRICS
    assert all(widget["x"] + widget["width"] <= 24 for widget in widgets)


def test_the_cost_of_watching_is_documented_as_the_template_has_it(templates: dict[str, Any]) -> None:
    file = ROOT / "docs" / "cost.md"
    alarms = of_type(templates[PIPELINE], "AWS::CloudWatch::Alarm")
    dashboard_metrics, alarm_metrics = len(list(shown(templates))), len(list(alarmed(templates)))
    everything = sum(metric.paid for metric in metrics.METRICS)
    text = re.sub(
        r"Dashboard \(.*\) and .* alarms \(\d+ metrics\)",
        f"Dashboard ({dashboard_metrics} metrics) and {len(alarms)} alarms ({alarm_metrics} metrics)",
        re.sub(
            r"Metrics of ours \(.*\) \|",
            f"Metrics of ours (up to {metrics.MAX_RUN_METRICS}; {everything} with the upload trigger) |",
            file.read_text(),
            count=1,
        ),
        count=1,
    )
    if IS_UPDATE:
        file.write_text(text)
    assert file.read_text() == text, REMEDY


def test_every_alarm_tells_the_topic_and_is_silent_without_runs(templates: dict[str, Any]) -> None:
    (topic,) = of_type(templates[PIPELINE], "AWS::SNS::Topic")
    for alarm in of_type(templates[PIPELINE], "AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == [{"Ref": topic}]
        assert len(alarm["AlarmActions"]) <= limits.ALARM_ACTIONS
        assert alarm["TreatMissingData"] == "notBreaching"


def test_every_alarm_is_explained(templates: dict[str, Any]) -> None:
    guide = (ROOT / "docs" / "operate.md").read_text()
    for alarm in of_type(templates[PIPELINE], "AWS::CloudWatch::Alarm").values():
        name = alarm["AlarmDescription"].rsplit(" ", 1)[-1].rstrip(".")
        assert f"### {name}\n" in guide


def test_a_blocked_queue_is_told_of_by_this_deployments_queue_only(templates: dict[str, Any]) -> None:
    rule = one(templates[PIPELINE], "AWS::Events::Rule")
    (queue,) = of_type(templates[PIPELINE], "AWS::Batch::JobQueue")
    assert rule["EventPattern"]["detail"] == {"jobQueue": [{"Fn::GetAtt": [queue, "JobQueueArn"]}]}
    policy = json.dumps(of_type(templates[PIPELINE], "AWS::SNS::TopicPolicy"))
    assert "events.amazonaws.com" in policy


def test_this_accounts_alarms_may_publish_to_the_topic(templates: dict[str, Any]) -> None:
    (policy,) = of_type(templates[PIPELINE], "AWS::SNS::TopicPolicy").values()
    (statement,) = (
        statement
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    )
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sns:Publish")
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_an_alarm_on_dynamodb_fills_missing_data_itself_or_it_would_keep_its_state(templates: dict[str, Any]) -> None:
    for alarm in of_type(templates[PIPELINE], "AWS::CloudWatch::Alarm").values():
        assert alarm.get("Namespace") != "AWS/DynamoDB"
        queries = alarm.get("Metrics", [])
        expression = " ".join(query.get("Expression", "") for query in queries)
        for query in queries:
            if query.get("MetricStat", {}).get("Metric", {}).get("Namespace") == "AWS/DynamoDB":
                assert f"FILL({query['Id']}, 0)" in expression


@pytest.mark.parametrize("action", ["sns:Publish", "events:PutEvents"])
def test_only_verify_run_publishes(templates: dict[str, Any], action: str) -> None:
    policies = of_type(templates[PIPELINE], "AWS::IAM::Policy")
    allowed = [name for name, policy in policies.items() if action in json.dumps(policy)]
    assert ["VerifyRunRole" in name for name in allowed] == [True]
