"""The kinds of faults: what each is called, and how it is made ready for a set of images."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from stepvec.model import WEIGHTS_FILE
from stepvec.outcome import FailureReason
from tools.faults import network_faults as network
from tools.faults import process_faults as processes
from tools.faults.injector import Armed, Fault
from tools.faults.model_faults import BrokenModel, ModelDirectory
from tools.faults.network_faults import AnswerLost, BrokenBody, ChangedObject, Matches, Refused
from tools.faults.process_faults import AtFunctionCall, AtImage, AtKeys, Blow
from tools.faults.stage import Stage

FUNCTION_TIMEOUT_SECONDS: Final = 4
"""What functions are given while one of them hangs: nobody waits for 15 minutes."""
FUNCTIONS: Final = ("ListImages", "ShardImages", "VerifyShard", "VerifyRun")


@dataclass(frozen=True, slots=True)
class Setup:
    """What a kind works on: the images under `prefix`, and the seed's own generator.

    `rate` is the share of requests that get a fault of the network, `moments` how often one of a process happens.
    """

    stage: Stage
    assembly: Path
    keys: Sequence[str]
    generator: random.Random
    rate: float
    moments: int
    another: Callable[[str], bytes]

    def victims(self) -> list[str]:
        """The images at which something happens."""
        return self.generator.sample(list(self.keys), min(self.moments, len(self.keys)))


@dataclass(frozen=True, slots=True)
class Built:
    """A kind made ready. `is_spent` tells whether all moments have come; `end` undoes what would outlast it."""

    armed: Sequence[Armed]
    may_fail: Set[FailureReason] = frozenset()
    is_spent: Callable[[], bool] = lambda: True
    end: Callable[[], None] = lambda: None
    bad_objects: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault. `images` and `shards` are those of its scenario in the full run."""

    name: str
    label: str
    build: Callable[[Setup, str], Built]
    images: int
    shards: int
    rate: float = 0.3
    moments: int = 6


def _at_rate(make: Callable[[str], Fault]) -> Callable[[Setup, str], Built]:
    return lambda setup, kind: Built([Armed(make(kind), setup.rate)])


def _refused(applies: Matches, answer: Callable[[network.Exchange], network.Message]) -> Callable[[Setup, str], Built]:
    return _at_rate(lambda kind: Refused(kind, applies, answer))


def _once(make: Callable[[Setup, str], AtImage | AtKeys | AtFunctionCall]) -> Callable[[Setup, str], Built]:
    def build(setup: Setup, kind: str) -> Built:
        fault = make(setup, kind)
        return Built([Armed(fault, 1.0)], is_spent=lambda: fault.is_spent)

    return build


def _blow(blow: Blow) -> Callable[[Setup, str], Built]:
    return _once(lambda setup, kind: AtImage(kind, blow, setup.victims()))


def _at_victims(applies: Matches, answer: Callable[[network.Exchange], network.Message]) -> Callable[[Setup, str], Built]:
    return _once(lambda setup, kind: AtKeys(Refused(kind, applies, answer), setup.victims()))


def _image_denied(setup: Setup, kind: str) -> Built:
    fault = Refused(kind, network.image_read, network.s3_denied)
    return Built([Armed(fault, setup.rate)], may_fail={FailureReason.ACCESS_DENIED})


def _deleted(setup: Setup, kind: str) -> Built:
    fault = ChangedObject(kind, setup.stage.delete)
    return Built([Armed(fault, setup.rate)], may_fail={FailureReason.NOT_FOUND})


def _overwritten(setup: Setup, kind: str) -> Built:
    fault = ChangedObject(kind, lambda key: setup.stage.put(key, setup.another(key)))
    return Built([Armed(fault, setup.rate)], may_fail={FailureReason.CHANGED})


def _host_lost(setup: Setup, kind: str) -> Built:
    def lose(process: psutil.Process, draw: float) -> None:  # noqa: ARG001 - as every blow
        setup.stage.cloud.lose_host(process.environ()["AWS_BATCH_JOB_ID"])

    return _blow(lose)(setup, kind)


def _stopped(setup: Setup, kind: str) -> Built:
    def stop(process: psutil.Process, draw: float) -> None:  # noqa: ARG001
        setup.stage.stop()

    return _blow(stop)(setup, kind)


def _disk_full(setup: Setup, kind: str) -> Built:
    disk = processes.FullDisk()
    worker = AtImage(kind, disk.fill, setup.victims())
    # VerifyRun is what writes to a disk: the failures of a run, of which there must be some.
    function = AtFunctionCall(kind, disk.fill_function, {"VerifyRun": 1})
    prefix = setup.keys[0].rsplit("/", 1)[0]
    return Built(
        [Armed(worker, 1.0), Armed(function, 1.0)],
        may_fail={FailureReason.NOT_AN_IMAGE},
        is_spent=lambda: worker.is_spent and function.is_spent,
        end=disk.clear,
        bad_objects={f"{prefix}/no-image-{number}.jpg": b"no image %d" % number for number in range(3)},
    )


def _moments_of_functions(setup: Setup) -> dict[str, int]:
    chosen = FUNCTIONS[: max(1, setup.moments)] if setup.moments < len(FUNCTIONS) else FUNCTIONS
    return {name: setup.generator.randint(1, 3) for name in chosen}


def _function_crash(setup: Setup, kind: str) -> Built:
    return _once(
        lambda setup, kind: AtFunctionCall(kind, processes.crash_function, _moments_of_functions(setup))
    )(setup, kind)


def _function_timeout(setup: Setup, kind: str) -> Built:
    client = setup.stage.cloud.client("lambda")
    limits = {entry["FunctionName"]: entry["Timeout"] for entry in client.list_functions()["Functions"]}
    for name in limits:
        client.update_function_configuration(FunctionName=name, Timeout=FUNCTION_TIMEOUT_SECONDS)

    def end() -> None:
        for name, limit in limits.items():
            client.update_function_configuration(FunctionName=name, Timeout=limit)

    fault = AtFunctionCall(kind, processes.hang(FUNCTION_TIMEOUT_SECONDS + 1), _moments_of_functions(setup))
    return Built([Armed(fault, 1.0)], is_spent=lambda: fault.is_spent, end=end)


def _model(spoil: Callable[[ModelDirectory], None]) -> Callable[[Setup, str], Built]:
    def build(setup: Setup, kind: str) -> Built:
        (weights,) = setup.assembly.glob(f"asset.*/model/{WEIGHTS_FILE}")
        directory = ModelDirectory(weights.parent)
        fault = BrokenModel(kind, lambda: spoil(directory), intact=setup.generator.randint(0, 2))
        return Built([Armed(fault, 1.0)], end=directory.restore)

    return build


_MANY: Final = (1000, 4)
_SOME: Final = (300, 4)
_FEW: Final = (60, 10)

KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(
            "dynamodb-unprocessed",
            "DynamoDB: UnprocessedItems, UnprocessedKeys",
            _at_rate(network.Unprocessed),
            *_MANY,
        ),
        Kind(
            "dynamodb-throughput",
            "DynamoDB: ProvisionedThroughputExceededException",
            _refused(network.dynamodb_call, network.throughput_exceeded),
            *_MANY,
        ),
        Kind(
            "dynamodb-throttling",
            "DynamoDB: ThrottlingException",
            _refused(network.dynamodb_call, network.throttled),
            *_MANY,
        ),
        Kind(
            "dynamodb-500",
            "DynamoDB: InternalServerError 500",
            _refused(network.dynamodb_call, network.dynamodb_failed),
            *_MANY,
        ),
        Kind(
            "dynamodb-answer-lost",
            "DynamoDB: done, and the answer is lost (reset or 500)",
            _at_rate(lambda kind: AnswerLost(kind, network.dynamodb_call, network.dynamodb_failed)),
            *_MANY,
        ),
        Kind(
            "dynamodb-denied",
            "DynamoDB: access denied in the middle of a shard",
            _at_victims(network.dynamodb_write, network.dynamodb_denied),
            *_SOME,
        ),
        Kind("s3-slow-down", "S3: 503 SlowDown", _refused(network.s3_call, network.slow_down), *_MANY),
        Kind("s3-500", "S3: 500 InternalError", _refused(network.s3_call, network.s3_failed), *_MANY),
        Kind(
            "s3-reset",
            "S3: connection reset in the middle of a body",
            _at_rate(lambda kind: BrokenBody(kind, network.s3_read, "reset")),
            *_MANY,
        ),
        Kind(
            "s3-truncated",
            "S3: body shorter than its Content-Length",
            _at_rate(lambda kind: BrokenBody(kind, network.s3_read, "truncated")),
            *_MANY,
        ),
        Kind(
            "s3-slow-body",
            "S3: body at 1 KB/s",
            _at_rate(lambda kind: BrokenBody(kind, network.s3_read, "slow")),
            *_MANY,
        ),
        Kind(
            "s3-answer-lost",
            "S3: written, and the answer is lost (reset or 500)",
            _at_rate(lambda kind: AnswerLost(kind, network.s3_write, network.s3_failed)),
            *_FEW,
        ),
        Kind("s3-deleted", "Object deleted between listing and reading, or just after", _deleted, *_MANY),
        Kind("s3-overwritten", "Object overwritten between listing and reading, or just after", _overwritten, *_MANY),
        Kind("s3-denied", "S3: 403 AccessDenied for an image", _image_denied, *_MANY),
        Kind(
            "clock-skew",
            "Clock of a host is wrong (S3: RequestTimeTooSkewed)",
            _at_victims(network.image_read, network.clock_skewed),
            *_SOME,
        ),
        Kind(
            "batch-throttled",
            "Batch: SubmitJob answers 429",
            _refused(network.is_submit, network.submit_throttled),
            *_FEW,
            rate=0.5,
        ),
        Kind(
            "batch-answer-lost",
            "Batch: job submitted, and the answer is lost: two jobs for one shard",
            _at_rate(lambda kind: AnswerLost(kind, network.is_submit, network.submit_failed)),
            *_FEW,
        ),
        Kind(
            "lambda-service-error",
            "Lambda: 429 and 500, before, after and while the function runs",
            _at_rate(lambda kind: network.ServiceError()),
            *_FEW,
            rate=0.5,
        ),
        Kind(
            "lambda-twice",
            "Lambda: invoked twice for one event, in turn and at once",
            _at_rate(lambda kind: network.InvokedTwice()),
            *_FEW,
            rate=0.6,
        ),
        Kind("lambda-crash", "Lambda: killed in the middle", _function_crash, 40, 2),
        Kind("lambda-timeout", "Lambda: timed out in the middle", _function_timeout, 40, 2),
        Kind("worker-killed", "Worker: kill -9 of the container", _blow(processes.kill_group), *_SOME),
        Kind("worker-terminated", "Worker: SIGTERM (Spot)", _blow(processes.terminate), *_SOME),
        Kind("host-lost", "Worker: host lost (Spot), SIGTERM and then SIGKILL", _host_lost, *_SOME),
        Kind(
            "worker-memory",
            "Worker: out of memory (137, or an allocation fails)",
            _blow(processes.run_out_of_memory),
            *_SOME,
        ),
        Kind("disk-full", "Worker and VerifyRun: disk full", _disk_full, *_SOME, moments=4),
        Kind("model-corrupt", "Model: one bit of the weights is another", _model(ModelDirectory.corrupt), 40, 4),
        Kind("model-other", "Model: other weights", _model(ModelDirectory.replace_by_another), 40, 4),
        Kind("stopped", "Execution stopped halfway, and started again", _stopped, *_SOME, moments=4),
    )
}
