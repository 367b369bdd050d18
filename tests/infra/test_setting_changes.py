"""Every setting, changed alone in a deployment that exists: what CloudFormation does, and what becomes of the data.

    STEPVEC_UPDATE=1 .venv/bin/python -m pytest tests/infra/test_setting_changes.py

writes the table of docs/configuration.md again.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import pytest

from stacks.config import PipelineConfig
from tests.conftest import ROOT
from tests.infra.conftest import Synthesize
from tests.infra.setting_changes import Changes, changes, kept, sentence
from tests.infra.test_snapshots import IS_UPDATE

SCHEDULE: Final = {"schedule": "rate(1 day)", "schedule_paths": ["images"]}
UPLOADS: Final = {"upload_trigger": True}
HTTP: Final = {"http_start": True}
OPENVINO: Final = {"engine": "openvino"}
CHANGED: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "device": ({}, {"device": "gpu"}),
    "architecture": ({}, {"architecture": "arm64"}),
    "spot": ({}, {"spot": False}),
    "instance_families": ({}, {"instance_families": ["c6i", "m6i"]}),
    "availability_zones": ({}, {"availability_zones": 3}),
    "max_vcpus": ({}, {"max_vcpus": 32}),
    "max_concurrency": ({}, {"max_concurrency": 7}),
    "shard_size": ({}, {"shard_size": 1_000}),
    "preprocessing": ({}, {"preprocessing": "sample-1"}),
    "vector_type": ({}, {"vector_type": "int8"}),
    "engine": ({}, OPENVINO),
    "precision": (OPENVINO, {**OPENVINO, "precision": "bf16"}),
    "network": ({}, {"network": "private"}),
    "image_bucket": ({}, {"image_bucket": "my-photos"}),
    "table": ({}, {"table": "my-vectors"}),
    "warm_throughput": ({}, {"warm_throughput": [12_000, 12_000]}),
    "vector_index": ({}, {"vector_index": "s3vectors"}),
    "deletion_protection": ({}, {"deletion_protection": False}),
    "kms": ({}, {"kms": True}),
    "xray": ({}, {"xray": True}),
    "log_retention_days": ({}, {"log_retention_days": 7}),
    "alarm_email": ({}, {"alarm_email": "team@example.com"}),
    "vcpu_hour_usd": ({}, {"vcpu_hour_usd": 0.02}),
    "suffixes": ({}, {"suffixes": ["raw"]}),
    "max_image_bytes": ({}, {"max_image_bytes": 20_000_000}),
    "max_image_pixels": ({}, {"max_image_pixels": 120_000_000}),
    "schedule": ({}, SCHEDULE),
    "schedule_timezone": (SCHEDULE, {**SCHEDULE, "schedule_timezone": "Europe/Berlin"}),
    "schedule_paths": (SCHEDULE, {**SCHEDULE, "schedule_paths": ["photos"]}),
    "schedule_window_minutes": (SCHEDULE, {**SCHEDULE, "schedule_window_minutes": 15}),
    "schedule_max_failures": (SCHEDULE, {**SCHEDULE, "schedule_max_failures": 3}),
    "http_start": ({}, HTTP),
    "http_rate": (HTTP, {**HTTP, "http_rate": 100}),
    "upload_trigger": ({}, UPLOADS),
    "upload_prefixes": (UPLOADS, {**UPLOADS, "upload_prefixes": ["images"]}),
    "upload_max_failures": (UPLOADS, {**UPLOADS, "upload_max_failures": 3}),
    "upload_window_seconds": (UPLOADS, {**UPLOADS, "upload_window_seconds": 30}),
}
"""Before and after, for each setting but `name`, which makes another deployment."""
NEW_MODEL: Final = "Rows get another `Model`: the next run embeds every image anew"
MEANING: Final = {
    "preprocessing": NEW_MODEL,
    "architecture": f"Not while a run is going on: its queue is replaced. {NEW_MODEL}",
    "engine": NEW_MODEL,
    "precision": NEW_MODEL,
    "vector_type": "Only new rows are of the new type",
    "image_bucket": "Not while a run is going on: its roles change",
    "table": "Not while a run is going on: its roles change",
    "warm_throughput": "Charged once. DynamoDB refuses less than the table has, so only ever raise it",
    "vector_index": "Not while a run is going on: its shards would count as missing. The next run fills the index",
    "availability_zones": "Not while a run is going on: its instances' network is replaced",
    "max_image_bytes": "Images that failed as TooLarge are tried again",
    "max_image_pixels": "Here raised: the job gets more memory. Images that failed as TooLarge are tried again",
    "kms": "Existing objects keep their encryption",
}
BEGIN: Final = "<!-- changes: from tests/infra/test_setting_changes.py -->\n"
END: Final = "<!-- end of changes -->"


@pytest.fixture(scope="module")
def found(synthesized: Synthesize) -> dict[str, Changes]:
    """What each change does."""
    return {
        name: changes(synthesized(**before).templates, synthesized(**after).templates)
        for name, (before, after) in CHANGED.items()
    }


def test_every_setting_is_changed_once() -> None:
    assert {"name", *CHANGED} == {field.name for field in dataclasses.fields(PipelineConfig)}


def test_no_change_would_be_refused(found: dict[str, Changes]) -> None:
    assert {name: one.refused for name, one in found.items() if one.refused} == {}


def test_no_change_loses_data_but_the_queues_and_logs_of_a_start_that_is_turned_off(
    found: dict[str, Changes], synthesized: Synthesize
) -> None:
    assert {name: one.lost for name, one in found.items() if one.lost} == {}
    back = {
        name: changes(synthesized(**after).templates, synthesized(**before).templates).lost
        for name, (before, after) in CHANGED.items()
    }
    assert {name for name, lost in back.items() if lost} == {"schedule", "http_start", "upload_trigger"}
    assert {kind for lost in back.values() for kind in lost.values()} == {"AWS::SQS::Queue", "AWS::Logs::LogGroup"}


def test_buckets_and_table_are_never_replaced(found: dict[str, Changes]) -> None:
    for one in found.values():
        assert not {"AWS::S3::Bucket", "AWS::DynamoDB::GlobalTable", "AWS::KMS::Key"} & {*one.replaced.values()}


def test_the_analysis_sees_replacements_lost_data_and_names_that_refuse() -> None:
    def stack(zone: str) -> Any:
        subnet = {"Type": "AWS::EC2::Subnet", "Properties": {"AvailabilityZone": zone}}
        queue = {"Type": "AWS::SQS::Queue", "Properties": {"FifoQueue": zone == "a"}}
        endpoint = {"Type": "AWS::EC2::VPCEndpoint", "Properties": {"SubnetIds": [{"Ref": "S"}]}}
        return {"A": {"Resources": {"S": subnet, "Q": queue, "E": endpoint}}}

    one = changes(stack("a"), stack("b"))
    assert (set(one.replaced), set(one.updated), set(one.lost)) == ({"A/S", "A/Q"}, {"A/E"}, {"A/Q"})

    def named(table: str) -> Any:
        return {"A": {"Resources": {"T": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": table}}}}}

    assert set(changes(named("mine"), named("yours")).refused) == {"A/T"}


def test_the_documented_table_is_what_the_templates_say(found: dict[str, Changes]) -> None:
    rows = ["| Setting | A deployment that changes it | Data | |", "|---|---|---|---|"]
    for field in dataclasses.fields(PipelineConfig):
        if field.name == "name":
            rows.append("| `name` | creates a second deployment; the first stays as it is | all kept | |")
            continue
        one = found[field.name]
        rows.append(f"| `{field.name}` | {sentence(one)} | {kept(one)} | {MEANING.get(field.name, '')} |")
    file = ROOT / "docs" / "configuration.md"
    before, _, rest = file.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    text = f"{before}{BEGIN}\n{chr(10).join(rows)}\n\n{END}{after}"
    if IS_UPDATE:
        file.write_text(text)
    assert file.read_text() == text, "STEPVEC_UPDATE=1 .venv/bin/python -m pytest tests/infra/test_setting_changes.py"
