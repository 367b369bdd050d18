"""Every kind of fault at least once, in few scenarios: the quick version of `make faults`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_pipeline.installation import synthesize
from resilience.faults.catalogue import KINDS
from resilience.faults.pipeline import PipelineUnderTest, open_pipeline
from resilience.faults.scenario import Scenario, run_scenario
from testkit.photos import picture

# On a machine that others use as well, a scenario of several runs takes minutes.
pytestmark = pytest.mark.timeout(1200)

SEED = 5
PICTURES = 96

OF_IMAGES = ("s3-deleted", "s3-overwritten", "s3-denied", "s3-unreadable")
OF_THE_NETWORK = tuple(
    name
    for name in KINDS
    if name.split("-")[0] in ("dynamodb", "s3", "batch")
    and name not in ("dynamodb-denied", "dynamodb-stale", "dynamodb-older", *OF_IMAGES)
)
OF_FUNCTIONS = ("lambda-service-error", "lambda-twice")
OF_WORKERS = (
    "worker-killed", "worker-terminated", "host-lost", "worker-memory", "clock-skew", "dynamodb-denied", "disk-full",
    "stopped",
)  # fmt: skip
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("network", [KINDS[name] for name in (*OF_FUNCTIONS, *OF_THE_NETWORK)], 90, 3, rate=0.05, first=1),
        # Of few rows each reading is hit: the first ones of a run find none to leave out.
        Scenario("stale", [KINDS["dynamodb-stale"]], 60, 2, rate=1.0),
        Scenario("older", [KINDS["dynamodb-older"]], 60, 2, rate=1.0),
        Scenario("images", [KINDS[name] for name in OF_IMAGES], 60, 1, rate=0.1, first=1),
        Scenario("workers", [KINDS[name] for name in OF_WORKERS], 90, 3, moments=1),
        Scenario("model-and-crash", [KINDS[name] for name in ("lambda-crash", "model-corrupt")], 8, 1, moments=1),
        Scenario("model-and-timeout", [KINDS[name] for name in ("lambda-timeout", "model-other")], 8, 1, moments=1),
    )
}


OF_INDEX = Scenario("index", [kind for kind in KINDS.values() if kind.has_index], 90, 3, rate=0.3, first=1, moments=2)


@pytest.fixture(scope="module")
def assembly(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of its own: some faults corrupt the model in it."""
    return Path(shutil.copytree(assembly, tmp_path_factory.mktemp("faults") / "cdk.out"))


@pytest.fixture(scope="module")
def pipeline(assembly: Path) -> Iterator[PipelineUnderTest]:
    with open_pipeline(assembly, SEED) as pipeline:
        pipeline.embed_cleanly("clean", {f"clean/{number:05d}.jpg": picture(number) for number in range(PICTURES)})
        yield pipeline


@pytest.fixture
def indexed(tmp_path: Path) -> Iterator[tuple[PipelineUnderTest, Path]]:
    """A pipeline with an index of S3 Vectors, for one test: a process has one embedded AWS at a time."""
    assembly = tmp_path
    synthesize(assembly, {"vector_index": "s3vectors"})
    with open_pipeline(assembly, SEED) as pipeline:
        pipeline.embed_cleanly("clean", {f"clean/{number:05d}.jpg": picture(number) for number in range(PICTURES)})
        yield pipeline, assembly


def test_every_kind_is_in_a_scenario() -> None:
    assert {kind.name for scenario in (*SCENARIOS.values(), OF_INDEX) for kind in scenario.kinds} == set(KINDS)


def test_index_and_table_agree_after_faults_of_the_index(indexed: tuple[PipelineUnderTest, Path]) -> None:
    pipeline, assembly = indexed
    result = run_scenario(pipeline, OF_INDEX, seed=SEED, pictures=PICTURES, assembly=assembly)
    assert (result.lost, result.wrong, result.duplicated) == ([], [], [])
    assert not [kind.name for kind in OF_INDEX.kinds if not pipeline.ledger.injections[kind.name]]


def test_the_pictures_can_be_told_apart(pipeline: PipelineUnderTest) -> None:
    """A vector that belongs to another picture would pass for the right one, if both had nearly the same."""
    import numpy as np

    from stepvec.rows.vectors import decode_vector

    vectors = np.stack([decode_vector(row) for row in pipeline.vectors.values()]).astype(float)
    assert len(vectors) == PICTURES
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T - 2 * np.eye(len(vectors))
    assert cosines.max() < 0.999


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_lost_wrong_or_duplicated(pipeline: PipelineUnderTest, assembly: Path, name: str) -> None:
    scenario = SCENARIOS[name]
    result = run_scenario(pipeline, scenario, seed=SEED, pictures=PICTURES, assembly=assembly)
    assert (result.lost, result.wrong, result.duplicated) == ([], [], [])
    idle = [kind.name for kind in scenario.kinds if not pipeline.ledger.injections[kind.name]]
    assert not idle, "these injected nothing"
