"""`stepvec destroy` against the embedded AWS's protections: without --data nothing stored goes, with it all does."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import photo
from tests.local.test_cli import STEPVEC, WITHOUT_AWS, local_up, run_by_aws_cli
from tests.local.test_json import checked


class Account:
    """The account of a `stepvec local up`, and commands in it."""

    def __init__(self, exported: dict[str, str], settings: str) -> None:
        self.exported = exported
        self.environment = {
            **WITHOUT_AWS,
            **exported,
            "STEPVEC_SETTINGS": settings,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.exported["AWS_ENDPOINT_URL"],
            aws_access_key_id=self.exported["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.exported["AWS_SECRET_ACCESS_KEY"],
            region_name=self.exported["AWS_REGION"],
        )

    def destroy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [STEPVEC, "destroy", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def stacks(self) -> set[str]:
        return {stack["StackName"] for stack in self.client("cloudformation").describe_stacks()["Stacks"]}

    def rows(self) -> int:
        return int(self.client("dynamodb").scan(TableName=self.exported["STEPVEC_TABLE"], Select="COUNT")["Count"])


@pytest.mark.parametrize("name", ["Stepvec", "Photos"])
def test_nothing_stored_goes_without_data_and_all_of_it_with(tmp_path: Path, name: str) -> None:
    settings = json.dumps({"name": name, "vector_index": "s3vectors"})
    with local_up(tmp_path, STEPVEC_SETTINGS=settings) as exported:
        account = Account(exported, settings)
        s3, bucket, work = account.client("s3"), exported["STEPVEC_IMAGE_BUCKET"], exported["STEPVEC_WORK_BUCKET"]
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for number in range(3):
            s3.put_object(Bucket=bucket, Key="a/1.jpg", Body=photo(number))
        s3.put_object(Bucket=bucket, Key="a/gone.jpg", Body=photo(9))
        s3.delete_object(Bucket=bucket, Key="a/gone.jpg")
        assert run_by_aws_cli(exported, {"Paths": ["a"]})["status"] == "SUCCEEDED"

        asked = account.destroy()
        assert asked.returncode == 1, "without a terminal and without --yes it must not do it"
        refused = account.destroy("--data")
        assert refused.returncode == 1
        told = " ".join(refused.stderr.split())
        assert f"bucket {bucket}: 5 versions of objects" in told
        assert f"table {exported['STEPVEC_TABLE']}: 1 rows" in told
        assert re.search(r"vector bucket \S+: 1 vectors", told)
        assert f"Type {name}Data, or give --confirm {name}Data" in told
        assert account.destroy("--data", "--yes").returncode == 1, "--yes is no confirmation of a loss"
        assert account.destroy("--data", "--confirm", f"{name}Pipeline").returncode == 1
        assert account.stacks() == {f"{name}Data", f"{name}Pipeline"}

        without = checked(account.destroy("--yes", "--json"), "DestroyAnswer")
        assert (without["deleted_stacks"], without["data_kept"]) == ([f"{name}Pipeline"], True)
        assert account.stacks() == {f"{name}Data"}
        assert account.rows() == 1
        assert "a/1.jpg" in {entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]}

        everything = checked(account.destroy("--data", "--confirm", f"{name}Data", "--json"), "DestroyAnswer")
        assert (everything["deleted_stacks"], everything["data_kept"]) == ([f"{name}Data"], False)
        assert account.stacks() == set()
        left = {entry["Name"] for entry in s3.list_buckets()["Buckets"]}
        assert not {bucket, work} & left
        assert account.client("s3vectors").list_vector_buckets()["vectorBuckets"] == []
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            account.rows()
        again = account.destroy("--data", "--confirm", f"{name}Data")
        assert again.returncode == 1
        assert "has no stack" in " ".join(again.stderr.split())
