"""One region and one profile for boto3, the CDK command line and everything else."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from local_pipeline import installation
from stepvec.client.region import unify_region
from stepvec.client.session import new_session
from stepvec.errors import ConfigurationError

CONFIG = "[default]\nregion = eu-west-3\n[profile work]\nregion = eu-west-2\n[profile other]\nregion = ap-south-1\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    # new_session writes both names; monkeypatch takes away what it knows of.
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    (tmp_path / "config").write_text(CONFIG)
    return tmp_path


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "eu-north-1"}, "eu-north-1"),
        ({"AWS_DEFAULT_REGION": "eu-south-1"}, "eu-south-1"),
        ({"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-south-1"}, "eu-north-1"),
        ({}, "eu-west-3"),
        ({"AWS_PROFILE": "work"}, "eu-west-2"),
        ({"AWS_DEFAULT_PROFILE": "other"}, "ap-south-1"),
        ({"AWS_PROFILE": "work", "AWS_DEFAULT_PROFILE": "other"}, "eu-west-2"),
        ({"AWS_PROFILE": "work", "AWS_REGION": "eu-north-1"}, "eu-north-1"),
        ({"AWS_PROFILE": "work", "AWS_DEFAULT_REGION": "eu-south-1"}, "eu-south-1"),
    ],
)
def test_boto3_and_cdk_get_the_same_region(
    home: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], region: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    session = new_session()
    assert session.region_name == session.client("s3").meta.region_name == region
    npx = home / "npx"
    (home / "seen.py").write_text(f"import json, os\njson.dump(dict(os.environ), open({str(home / 'seen')!r}, 'w'))\n")
    # By a shell: a first line with the Python's path ends at a space in it.
    npx.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{home / 'seen.py'}'\n")
    npx.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}{os.pathsep}{os.environ['PATH']}")
    installation.run_cdk("deploy", region=session.region_name)
    seen = json.loads((home / "seen").read_text())
    assert seen["AWS_REGION"] == seen["AWS_DEFAULT_REGION"] == region
    if "AWS_PROFILE" in variables or "AWS_DEFAULT_PROFILE" in variables:
        assert seen["AWS_PROFILE"] == seen["AWS_DEFAULT_PROFILE"]


def test_no_region_is_an_error_and_not_us_east_1(home: Path) -> None:
    (home / "config").write_text("")
    with pytest.raises(ConfigurationError, match="No AWS region is set"):
        new_session()


def test_nothing_set_stays_unset() -> None:
    environ: dict[str, str] = {}
    unify_region(environ)
    assert environ == {}
