"""Starting and ending the embedded AWS. Each test has its own process: moto's state is global to one."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from moto import backends

from localaws import EmbeddedCloud, patches
from localaws.errors import InstallationError, LocalCloudError

ROOT = Path(__file__).parents[2]

START = """
import json, os, signal, sys, time
from pathlib import Path
from localaws import EmbeddedCloud
assembly, lambda_python = Path(sys.argv[1]), Path(sys.argv[2])
def start(**more):
    return EmbeddedCloud.start(
        assembly, lambda_python=lambda_python, worker_python=Path(sys.executable), slots=1, **more)
"""


@pytest.fixture
def script(assembly_folder, lambda_python) -> Any:
    def run(text: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", START + text, str(assembly_folder), str(lambda_python)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err == ""
    return out


def test_start_close_and_start_again(script):
    """Nothing is left of the first: no data, no processes, no folder."""
    out = output(
        script("""
first = start()
bucket = first.outputs["DataStack"]["BucketName"]
first.client("s3").put_object(Bucket=bucket, Key="left", Body=b"x")
batch = first.client("batch")
job = batch.submit_job(jobName="j", jobQueue=first.outputs["Pipeline"]["JobQueue"],
    jobDefinition=first.outputs["Pipeline"]["JobDefinition"], containerOverrides={"command": ["stubborn"]})["jobId"]
while batch.describe_jobs(jobs=[job])["jobs"][0]["status"] != "RUNNING":
    time.sleep(0.02)
first.client("lambda").invoke(FunctionName=first.outputs["Pipeline"]["FunctionName"], Payload=b'{"do": "count"}')
first.client("stepfunctions").start_execution(stateMachineArn=first.outputs["Pipeline"]["MachineArn"],
    name="n", input='{"do": "sleep", "seconds": 30}')
folder = first._context.work_directory
children = [child.pid for child in first._context.children._running]
assert len(children) >= 2, children
started = time.monotonic()
first.close()
first.close()
assert time.monotonic() - started < 15
assert not folder.exists()
for pid in children:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        continue
    raise SystemExit(f"group {pid} lives")
with start() as second:
    assert second.outputs["DataStack"]["BucketName"] == bucket
    assert second.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert second.client("stepfunctions").list_executions(
        stateMachineArn=second.outputs["Pipeline"]["MachineArn"])["executions"] == []
    answer = second.client("lambda").invoke(
        FunctionName=second.outputs["Pipeline"]["FunctionName"], Payload=b'{"do": "echo"}')
    assert json.loads(answer["Payload"].read()) == {"do": "echo"}
print("done")
""")
    )
    assert out == "done\n"


def test_a_proxy_is_called_by_functions_and_state_machines_and_not_by_the_operator(script):
    out = output(
        script("""
nowhere = "http://127.0.0.1:9"
asked = []
with start(proxy=lambda url: asked.append(url) or nowhere) as cloud:
    names = cloud.outputs["Pipeline"]
    seen = json.loads(cloud.client("lambda").invoke(
        FunctionName=names["FunctionName"], Payload=b'{"do": "environment"}')["Payload"].read())
    assert seen["AWS_ENDPOINT_URL"] == nowhere, seen
    assert asked == [cloud.endpoint_url] != [nowhere]
    assert cloud.role_of(seen["AWS_ACCESS_KEY_ID"]) == names["FunctionRoleName"]
    assert cloud.role_of(cloud.access_key_id) == cloud.role_of("unknown") == ""
    states = cloud.client("stepfunctions")
    execution = states.start_execution(stateMachineArn=names["MachineArn"], name="n", input='{"do": "echo"}')
    while (ended := states.describe_execution(executionArn=execution["executionArn"]))["status"] == "RUNNING":
        time.sleep(0.02)
    assert nowhere in ended["cause"], ended
print("done")
""")
    )
    assert out == "done\n"


def test_processes_do_not_disturb_each_other_and_a_forgotten_close_is_made_up_for(script):
    text = """
cloud = start()
bucket = cloud.outputs["DataStack"]["BucketName"]
cloud.client("s3").put_object(Bucket=bucket, Key=str(os.getpid()), Body=b"x")
print([entry["Key"] for entry in cloud.client("s3").list_objects_v2(Bucket=bucket)["Contents"]] == [str(os.getpid())])
print(cloud._context.work_directory)
"""
    both = [script(text), script(text)]
    for process in both:
        alone, folder = output(process).split()
        assert alone == "True"
        assert not Path(folder).exists()


def test_after_a_failed_start_another_one_works_and_iam_can_be_off(script, tmp_path):
    out = output(
        script(f"""
from localaws.errors import LocalCloudError
good, assembly = assembly, Path({str(tmp_path)!r})
try:
    start()
except LocalCloudError as error:
    print("manifest.json" in str(error))
assembly = good
with start(enforce_iam=False) as cloud:
    event = {{"do": "call", "service": "iam", "method": "list_roles", "arguments": {{}}}}
    answer = cloud.client("lambda").invoke(
        FunctionName=cloud.outputs["Pipeline"]["FunctionName"], Payload=json.dumps(event))
    print(answer.get("FunctionError"), cloud.denied)
""")
    )
    assert out == "True\nNone []\n"


def test_one_at_a_time_in_a_process(sample, assembly_folder, lambda_python):
    with pytest.raises(LocalCloudError, match="already runs"):
        EmbeddedCloud.start(assembly_folder, lambda_python=lambda_python, worker_python=Path(sys.executable), slots=1)
    assert sample.s3.list_objects_v2(Bucket=sample.data["BucketName"], Prefix="none/")["KeyCount"] == 0


def test_missing_interpreter(assembly_folder, tmp_path):
    with pytest.raises(InstallationError, match="There is no Python at"):
        EmbeddedCloud.start(
            assembly_folder, lambda_python=tmp_path / "none", worker_python=Path(sys.executable), slots=1
        )


def test_only_loopback_is_listened_on(sample):
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", sample.cloud.endpoint_url)


def test_exact_moto_version(monkeypatch):
    patches.check_installation()
    monkeypatch.setattr(patches, "version", lambda _: "5.2.6")
    with pytest.raises(InstallationError, match=r"moto 5\.2\.6 here, .* checked against 5\.2\.5"):
        patches.check_installation()


def test_web_pages_may_not_read_answers(sample):
    """[server_cross_origin]"""
    client = sample.cloud.client("cloudwatch")
    client.meta.events.register(
        "before-sign.*.*", lambda request, **_: request.headers.add_header("Origin", "http://x")
    )
    answer = client.list_metrics()["ResponseMetadata"]
    assert answer["HTTPStatusCode"] == 200
    assert "access-control-allow-origin" not in answer["HTTPHeaders"]


def test_unsigned_requests_are_refused(sample):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{sample.cloud.endpoint_url}/some-bucket")  # noqa: S310
    assert refused.value.code == 403


@pytest.mark.parametrize("length", ["x", "-1", "1x", "²"])
def test_a_content_length_that_is_no_number_is_refused_before_anything_else(sample, length):
    host, port = sample.cloud.endpoint_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 Bad Request")
    assert b"Content-Length" in answer


def test_moto_lists_its_modules_once(sample):
    """[server_module_list]"""
    assert backends.list_of_moto_modules() is backends.list_of_moto_modules()


def test_each_patch_has_a_contract_test():
    texts = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    untested = {name for name in patches.PATCHES if f"[{name}]" not in texts}
    assert untested == set()
