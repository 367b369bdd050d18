"""What `make image` accepts, and that the Dockerfile is what CDK, the local run and the GPU target take it for."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from localaws.batch.dockerfile import read_image
from tools.image.check import ShardRun, problems

ROOT = Path(__file__).resolve().parents[2]
RIGHTS = {"uid": 10001, "gid": 10001, "capabilities": 0, "no_new_privileges": 1, "writable": [], "tmp": True}
RUN = ShardRun(photos=3, status="SUCCEEDED", embedded=3, found=3, first_vector_seconds=1.0, worker_seconds=1.0, log=[])


def test_nothing_is_wrong() -> None:
    assert problems(RIGHTS, RUN) == []


@pytest.mark.parametrize(
    "change",
    [
        {"uid": 0},
        {"gid": 0},
        {"capabilities": 1},
        {"no_new_privileges": 0},
        {"writable": ["/etc"]},
        {"tmp": False},
    ],
)
def test_each_right_too_many_is_a_problem(change: dict[str, Any]) -> None:
    assert len(problems(RIGHTS | change, RUN)) == 1


@pytest.mark.parametrize(
    "change", [{"status": "FAILED"}, {"embedded": 2}, {"found": 2}, {"first_vector_seconds": None}]
)
def test_each_thing_missing_is_a_problem(change: dict[str, Any]) -> None:
    assert len(problems(RIGHTS, dataclasses.replace(RUN, **change))) == 1


def test_local_runs_read_the_dockerfile() -> None:
    image = read_image("tag", ROOT / "worker_image", "Dockerfile")
    assert image.entrypoint == ("python", "-m", "stepvec_worker")
    # PATH or PYTHONPATH of the image would mislead the processes of a local run.
    assert not {"PATH", "PYTHONPATH", "LD_LIBRARY_PATH"} & dict(image.environment).keys()


def test_every_target_ends_without_root_and_cpu_is_the_default() -> None:
    stages = re.split(r"^FROM ", (ROOT / "worker_image" / "Dockerfile").read_text(), flags=re.MULTILINE)[1:]
    targets = {stage.split("\n", 1)[0].split(" AS ")[1]: stage for stage in stages}
    assert list(targets)[-1] == "cpu"
    for name in ("cpu", "arm64", "gpu", "gpu-onnxruntime"):
        assert targets[name].rstrip().splitlines()[-1] == "USER 10001:10001"


def locked(name: str) -> dict[str, str]:
    """Versions by package, of a file of requirements/."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))


def test_gpu_and_cpu_share_the_versions_of_what_both_have() -> None:
    cpu, gpu = locked("worker.txt"), locked("worker-gpu.txt")
    assert cpu.pop("mxnet") == gpu["mxnet-cu117"]
    # These two are the CPU image's only.
    for name in ("openvino", "onnxruntime"):
        assert cpu.pop(name)
        assert name not in gpu
    assert cpu == {name: gpu[name] for name in cpu}


@pytest.mark.parametrize("lock", ["worker-arm64.txt", "worker-gpu-onnxruntime.txt"])
def test_no_image_has_another_version_of_what_the_cpus_has(lock: str) -> None:
    cpu, other = locked("worker.txt"), locked(lock)
    shared = cpu.keys() & other.keys()
    assert shared >= {"numpy", "pillow", "simplejpeg", "obstore", "boto3", "pi-heif"}
    assert {name: other[name] for name in shared} == {name: cpu[name] for name in shared}
    # Nothing that the engine's own tools alone import.
    assert not {"protobuf", "flatbuffers"} & other.keys()


def test_the_image_keeps_the_services_that_the_worker_asks() -> None:
    dockerfile = (ROOT / "worker_image" / "Dockerfile").read_text().replace("\\\n", " ")
    commands = re.findall(r"find /packages/botocore/data (.*?) -exec", dockerfile)
    assert len(commands) == dockerfile.count("pip install")
    (command,) = {" ".join(command.split()) for command in commands}
    kept = set(re.findall(r"! -name (\S+)", command))
    clients = (ROOT / "stepvec" / "adapters" / "clients.py").read_text()
    worker = "".join(path.read_text() for path in (ROOT / "worker_image" / "stepvec_worker").rglob("*.py"))
    made = re.findall(r"def (\w+_client)\(.*?_client\(\"(\w+)\"", clients, re.DOTALL)
    asked = {service for function, service in made if f"{function}(" in worker}
    assert asked == {"s3", "dynamodb", "s3vectors"}
    assert asked <= kept
