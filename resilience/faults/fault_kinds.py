"""What a kind of fault is, and how each is prepared for a set of images. The list of them is catalogue.py."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from resilience.faults import aws_errors
from resilience.faults import network_faults as network
from resilience.faults import process_faults as processes
from resilience.faults.injector import Armed, Fault
from resilience.faults.model_faults import BrokenModel, ModelDirectory
from resilience.faults.network_faults import ChangedObject, Matches, OlderRows, Refused
from resilience.faults.pipeline import PipelineUnderTest
from resilience.faults.process_faults import AtFunctionCall, AtImage, AtKeys, AtPut, Disruption
from resilience.faults.proxy import Exchange
from stepvec.rows.model import WEIGHTS_FILE
from stepvec.runs.outcome import FailureReason
from testkit.http_messages import Message

FUNCTION_TIMEOUT_SECONDS: Final = 6
"""What functions are given while one of them hangs: nobody waits for 15 minutes."""
FUNCTIONS: Final = ("ListImages", "ShardImages", "VerifyShard", "VerifyRun")


@dataclass(frozen=True, slots=True)
class Setup:
    """What a kind works on: the images under `prefix`, and the seed's own generator.

    `rate` is the share of requests that get a fault of the network, and the `first` ones get it for sure; `moments` is
    how often one of a process happens.
    """

    pipeline: PipelineUnderTest
    assembly: Path
    keys: Sequence[str]
    generator: random.Random
    rate: float
    first: int
    moments: int
    another: Callable[[str], bytes]

    def at_rate(self, fault: Fault, *may_fail: FailureReason) -> Built:
        """A fault of the network."""
        return Built([Armed(fault, self.rate, self.first)], may_fail=frozenset(may_fail))

    def victims(self) -> list[str]:
        """The images at which something happens."""
        return self.generator.sample(list(self.keys), min(self.moments, len(self.keys)))


@dataclass(frozen=True, slots=True)
class Built:
    """A prepared fault. `is_spent` tells whether all its moments have come; `end` undoes what would outlast it."""

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
    rate: float = 0.4
    moments: int = 6
    has_index: bool = False
    """Whether its deployment has an index of S3 Vectors."""


def at_rate(make: Callable[[str], Fault]) -> Callable[[Setup, str], Built]:
    """A fault of the network, for a share of the calls."""
    return lambda setup, kind: setup.at_rate(make(kind))


def refused(applies: Matches, answer: Callable[[Exchange], Message]) -> Callable[[Setup, str], Built]:
    """A service that answers with an error, for a share of the calls."""
    return at_rate(lambda kind: Refused(kind, applies, answer))


def _once(
    make: Callable[[Setup, str], AtImage | AtPut | AtKeys | AtFunctionCall], *may_fail: FailureReason
) -> Callable[[Setup, str], Built]:
    def build(setup: Setup, kind: str) -> Built:
        fault = make(setup, kind)
        return Built([Armed(fault, 1.0)], may_fail=frozenset(may_fail), is_spent=lambda: fault.is_spent)

    return build


def disrupted_at_images(disrupt: Disruption, *may_fail: FailureReason) -> Callable[[Setup, str], Built]:
    """Something that happens to the worker when it reads an image that the seed draws."""
    return _once(lambda setup, kind: AtImage(kind, disrupt, setup.victims()), *may_fail)


def disrupted_at_puts(disrupt: Disruption, *may_fail: FailureReason) -> Callable[[Setup, str], Built]:
    """Something that happens to the worker when it puts the vector of an image that the seed draws."""
    return _once(lambda setup, kind: AtPut(kind, disrupt, setup.victims()), *may_fail)


def refused_at_images(applies: Matches, answer: Callable[[Exchange], Message]) -> Callable[[Setup, str], Built]:
    """An error for calls about images that the seed draws, once each."""
    return _once(lambda setup, kind: AtKeys(Refused(kind, applies, answer), setup.victims()))


def image_denied(setup: Setup, kind: str) -> Built:
    """S3 refuses an image to the worker."""
    return setup.at_rate(Refused(kind, network.image_read, aws_errors.s3_denied), FailureReason.ACCESS_DENIED)


def image_unreadable(setup: Setup, kind: str) -> Built:
    """S3 refuses an image for the sake of its encryption key."""
    return setup.at_rate(Refused(kind, network.image_read, aws_errors.object_refused), FailureReason.UNREADABLE)


def deleted(setup: Setup, kind: str) -> Built:
    """Objects that are deleted."""
    return setup.at_rate(ChangedObject(kind, setup.pipeline.delete), FailureReason.NOT_FOUND)


def overwritten(setup: Setup, kind: str) -> Built:
    """Objects that are overwritten."""
    fault = ChangedObject(kind, lambda key: setup.pipeline.put(key, setup.another(key)))
    return setup.at_rate(fault, FailureReason.CHANGED)


def older_rows(setup: Setup, kind: str) -> Built:
    """Images whose objects were overwritten since they were embedded: reads answer the row of the version before."""
    rows = setup.pipeline.embedded_before({key: setup.another(key) for key in setup.keys})
    return setup.at_rate(OlderRows(kind, rows))


def host_lost(setup: Setup, kind: str) -> Built:
    """A Spot interruption, as the embedded Batch does it."""

    def lose(process: psutil.Process, draw: float) -> None:  # noqa: ARG001 - as every disruption
        setup.pipeline.cloud.lose_host(process.environ()["AWS_BATCH_JOB_ID"])

    return disrupted_at_images(lose)(setup, kind)


def stopped(setup: Setup, kind: str) -> Built:
    """The execution is stopped."""

    def stop(process: psutil.Process, draw: float) -> None:  # noqa: ARG001
        setup.pipeline.stop()

    return disrupted_at_images(stop)(setup, kind)


def disk_full(setup: Setup, kind: str) -> Built:
    """No room for the worker, and none for VerifyRun, which writes the run's failures to a disk: there must be some."""
    disk = processes.FullDisk()
    worker = AtImage(kind, disk.fill, setup.victims())
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


def function_crash(setup: Setup, kind: str) -> Built:
    """Functions that die in the middle, one of each."""
    return _once(lambda setup, kind: AtFunctionCall(kind, processes.crash_function, _moments_of_functions(setup)))(
        setup, kind
    )


def function_timeout(setup: Setup, kind: str) -> Built:
    """Functions that time out in the middle, one of each."""
    client = setup.pipeline.cloud.client("lambda")
    limits = {entry["FunctionName"]: entry["Timeout"] for entry in client.list_functions()["Functions"]}
    for name in limits:
        client.update_function_configuration(FunctionName=name, Timeout=FUNCTION_TIMEOUT_SECONDS)

    def end() -> None:
        for name, limit in limits.items():
            client.update_function_configuration(FunctionName=name, Timeout=limit)

    fault = AtFunctionCall(kind, processes.hang(FUNCTION_TIMEOUT_SECONDS + 1), _moments_of_functions(setup))
    return Built([Armed(fault, 1.0)], is_spent=lambda: fault.is_spent, end=end)


def broken_model(corrupt: Callable[[ModelDirectory], None]) -> Callable[[Setup, str], Built]:
    """A model that is corrupted once some jobs have begun: those that begin later read it."""

    def build(setup: Setup, kind: str) -> Built:
        (weights,) = setup.assembly.glob(f"asset.*/model/{WEIGHTS_FILE}")
        directory = ModelDirectory(weights.parent)
        fault = BrokenModel(kind, lambda: corrupt(directory), intact=setup.generator.randrange(setup.moments))
        return Built([Armed(fault, 1.0)], is_spent=lambda: fault.is_corrupted, end=directory.restore)

    return build
