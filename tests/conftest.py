"""What several folders of tests share: the synthesized app, and the photos beside the checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
CLOTHING = ROOT.parent / "shared" / "data" / "clothing"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names bytes by their length: zip and gzip write the time into theirs.

    All processes of pytest-xdist must find the same names, and they begin in different seconds.
    """
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app, synthesized once as `stepvec local` does it: in a process of its own, without AWS credentials."""
    from local_pipeline.installation import synthesize

    folder = tmp_path_factory.mktemp("assembly") / "cdk.out"
    synthesize(folder)
    return folder


@pytest.fixture(scope="session")
def templates(assembly: Path) -> dict[str, Any]:
    """The templates by stack name."""
    return {
        stack: json.loads((assembly / f"{stack}.template.json").read_text())
        for stack in ("StepvecData", "StepvecPipeline")
    }


@pytest.fixture(scope="session")
def clothing() -> Path:
    """800 photos of ten kinds of clothes, a folder each."""
    if not CLOTHING.is_dir():
        pytest.skip("the clothing photos are not beside this checkout (../shared/data/clothing)")
    return CLOTHING
