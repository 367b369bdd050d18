"""ministack: the second emulator, as a server on 127.0.0.1 in an environment of its own."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

from tests.conftest import ROOT
from tests.localaws.conftest import wait_for
from tests.localaws.state_machine_world import FUNCTIONS
from tests.second_opinion.cases import STOP, STOPPED, Recording, end_of, path_of
from tests.second_opinion.differences import Differences

PYTHON: Final = ROOT / ".venv-second-opinion" / "bin" / "python"
MACHINE: Final = "EmbedImages"
HELD_SECONDS: Final = 20
START_SECONDS: Final = 60
REGION: Final = "us-east-1"
ACCOUNT: Final = "000000000000"


class Ministack:
    """A server that runs, and clients of it."""

    def __init__(self, port: int, calls: Path) -> None:
        self._port = port
        self.calls = calls
        """The folder in which the replayed functions count."""

    def client(self, service: str) -> Any:
        """A boto3 client of it."""
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=f"http://127.0.0.1:{self._port}",
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def calls_of(self, case: str) -> Counter[str]:
        """The functions' calls in a case."""
        folder = self.calls / case
        return Counter(file.name.partition(" #")[0] for file in folder.iterdir()) if folder.is_dir() else Counter()


@contextmanager
def running(recordings: Mapping[str, Recording]) -> Iterator[Ministack]:
    """A server that knows what `recordings` answered, ended with the block."""
    with tempfile.TemporaryDirectory(prefix="stepvec-ministack-") as name:
        folder = Path(name)
        mocks = folder / "mocks.json"
        mocks.write_text(json.dumps(_mocks(recordings)))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        environment |= {
            "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SFN_MOCK_CONFIG": str(mocks), "SFN_WAIT_SCALE": "0",
            "MINISTACK_REGION": REGION, "HOME": name, "TMPDIR": name, "LAMBDA_EXECUTOR": "local",
            "LOG_LEVEL": "WARNING",
            # There is no Docker, and nothing here shall look for one.
            "DOCKER_HOST": f"unix://{name}/no-docker.sock",
        }  # fmt: skip
        log = folder / "log"
        with log.open("w") as output:
            server = subprocess.Popen(
                [PYTHON, "-m", "ministack"], env=environment, stdout=output, stderr=output, cwd=name
            )
        try:
            _wait_until_it_answers(server, port, log)
            yield Ministack(port, folder / "calls")
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_until_it_answers(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"ministack does not start:\n{log.read_text()[-2000:]}")


def _mocks(recordings: Mapping[str, Recording]) -> dict[str, Any]:
    """What `batch:submitJob.sync`, which ministack lacks, answers: AWS's own format of Step Functions Local.

    A mock is of a state, and every child has its own count: all jobs of a case answer alike.
    https://docs.aws.amazon.com/step-functions/latest/dg/sfn-local-mock-cfg-file.html
    """
    responses: dict[str, Any] = {}
    cases: dict[str, Any] = {}
    for case, recording in recordings.items():
        submitted = [answers[-1] for call, answers in recording.answers.items() if call.startswith("SubmitJob")]
        if not submitted:
            cases[case] = {}
            continue
        assert len({answer.error for answer in submitted}) == 1, "all jobs of a case answer alike"
        answer = submitted[0]
        made = {"Throw": {"Error": answer.error, "Cause": answer.cause}} if answer.error else {"Return": answer.payload}
        responses[case] = {"0-99": made}
        cases[case] = {"EmbedShard": case}
    return {"StateMachines": {MACHINE: {"TestCases": cases}}, "MockedResponses": responses}


def create_machine(cloud: Ministack, definition: dict[str, Any], recordings: Mapping[str, Recording]) -> str:
    """The definition as it is, with functions that answer what was recorded; the machine's ARN."""
    documents = {
        "held": STOPPED,
        "held_seconds": HELD_SECONDS,
        "answers": {
            case: {call: [asdict(answer) for answer in answers] for call, answers in recording.answers.items()}
            for case, recording in recordings.items()
        },
    }
    package = BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.write(Path(__file__).parent / "replay_function.py", "replay_function.py")
        archive.writestr("recordings.json", json.dumps(documents))
        bootstrap = zipfile.ZipInfo("bootstrap")
        bootstrap.external_attr = 0o755 << 16
        archive.writestr(bootstrap, '#!/bin/sh\nexec "$PYTHON" "$LAMBDA_TASK_ROOT/replay_function.py"\n')
    functions = cloud.client("lambda")
    for name in FUNCTIONS:
        functions.create_function(
            FunctionName=name, Runtime="provided.al2023", Handler="bootstrap", Timeout=60,
            Role=f"arn:aws:iam::{ACCOUNT}:role/any", Code={"ZipFile": package.getvalue()},
            Environment={"Variables": {"FUNCTION": name, "CALLS": str(cloud.calls), "PYTHON": str(PYTHON)}},
        )  # fmt: skip
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="work")
    for case, recording in recordings.items():
        if recording.shards:
            s3.put_object(Bucket="work", Key=f"runs/{case}/shards.json", Body=recording.shards.encode())
    states = cloud.client("stepfunctions")
    machine = states.create_state_machine(
        name=MACHINE, definition=json.dumps(definition), roleArn=f"arn:aws:iam::{ACCOUNT}:role/any"
    )
    return str(machine["stateMachineArn"])


def validate(cloud: Ministack, definition: dict[str, Any]) -> Differences:
    """What ValidateStateMachineDefinition says. ministack's says OK to everything: docs/local.md."""
    result = cloud.client("stepfunctions").validate_state_machine_definition(definition=json.dumps(definition))
    return {} if result["result"] == "OK" else {"result": ("OK", result["diagnostics"])}


def replay(cloud: Ministack, machine: str, definition: dict[str, Any], case: str, run_input: Any) -> Recording:
    """The case as ministack runs it."""
    states = cloud.client("stepfunctions")
    execution = states.start_execution(stateMachineArn=f"{machine}#{case}", name=case, input=json.dumps(run_input))
    arn = execution["executionArn"]
    if case == STOPPED:
        wait_for(lambda: any(call.startswith("VerifyShard") for call in cloud.calls_of(case)), "VerifyShard")
        states.stop_execution(executionArn=arn, **STOP)
    wait_for(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING", f"the end of {case}")
    return Recording(
        calls=cloud.calls_of(case),
        path=path_of(states, arn, set(definition["States"])),
        end=end_of(states, arn),
    )


def short(text: str) -> str:
    """One line of what AWS or an emulator says."""
    return re.sub(r"\s+", " ", text)[:300]
