"""The embedded AWS with a run that has ended, once for all mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_pipeline.installation import LAMBDA_PYTHON, WORKER_PYTHON
from localaws import EmbeddedCloud
from tests.cli.mistakes.world import World
from tests.local.conftest import Pipeline, photo


@pytest.fixture(scope="package")
def pipeline(assembly: Path) -> Iterator[Pipeline]:
    with EmbeddedCloud.start(assembly, lambda_python=LAMBDA_PYTHON, worker_python=WORKER_PYTHON, slots=1) as cloud:
        pipeline = Pipeline(cloud)
        for number in range(2):
            pipeline.put(f"photos/{number}.jpg", photo(number))
        assert pipeline.run({"Paths": ["photos"]}, name="holiday").status == "SUCCEEDED"
        yield pipeline


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A folder to be in, with what mistakes are made with; with the embedded AWS where the mistake needs it."""
    needs_aws = request.node.callspec.params["mistake"].needs_aws
    return World(tmp_path, request.getfixturevalue("pipeline") if needs_aws else None)
