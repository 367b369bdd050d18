"""The templates of cdk.json's settings as files, so that a review shows what a change of the app deploys.

    STEPVEC_UPDATE=1 .venv/bin/python -m pytest tests/infra/test_snapshots.py tests/infra/test_watching.py

writes them, and the generated tables of docs/configuration.md and docs/operate.md, again.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from stacks.config import configuration_table
from stepvec.metrics import metrics_table
from tests.conftest import ROOT
from tests.infra.conftest import Synthesize

SNAPSHOTS = Path(__file__).parent / "snapshots"
IS_UPDATE = bool(os.environ.get("STEPVEC_UPDATE"))
REMEDY = (
    "If that is meant: STEPVEC_UPDATE=1 .venv/bin/python -m pytest tests/infra/test_snapshots.py "
    "tests/infra/test_watching.py"
)
TABLES = {
    "configuration.md": ("<!-- settings: from stacks/config.py -->\n", "<!-- end of settings -->", configuration_table),
    "operate.md": ("<!-- metrics: from stepvec/metrics.py -->\n", "<!-- end of metrics -->", metrics_table),
}


def normalised(template: dict[str, Any]) -> str:
    """Without the hashes of assets, which change with every line of code."""
    return re.sub(r"\b[0-9a-f]{64}\b", "<hash>", json.dumps(template, indent=1, sort_keys=True)) + "\n"


@pytest.mark.parametrize("stack", ["StepvecData", "StepvecPipeline"])
def test_the_template_is_the_one_that_was_reviewed(synthesized: Synthesize, stack: str) -> None:
    file = SNAPSHOTS / f"{stack}.json"
    template = normalised(synthesized().templates[stack])
    if IS_UPDATE:
        SNAPSHOTS.mkdir(exist_ok=True)
        file.write_text(template)
    assert file.read_text() == template, REMEDY


@pytest.mark.parametrize("name", TABLES)
def test_a_generated_table_of_the_docs_is_that_of_the_code(name: str) -> None:
    file = ROOT / "docs" / name
    begin, end, table = TABLES[name]
    before, _, rest = file.read_text().partition(begin)
    _, _, after = rest.partition(end)
    text = f"{before}{begin}\n{table()}\n{end}{after}"
    if IS_UPDATE:
        file.write_text(text)
    assert file.read_text() == text, REMEDY
