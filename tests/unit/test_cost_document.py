"""docs/cost.md says what the plan's core reckons."""

from __future__ import annotations

import pytest

from stepvec.rows.units import Rows
from tools.cost_tables import DOCUMENT, INT8_MODEL, KEY_BYTES, cases, document


def test_the_documents_tables_are_those_of_the_plan() -> None:
    text = DOCUMENT.read_text()
    assert document(text) == text, "If that is meant: .venv/bin/python -m tools.cost_tables"


@pytest.mark.parametrize("name", ["A", "B"])
def test_a_million_images_with_int8_cost_no_more_than_a_dollar_and_35_cents(name: str) -> None:
    (case,) = (case for case in cases() if case.name == name)
    assert float(case.plan.floor_usd) < float(case.plan.cost.total_usd) <= 1.35


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_lines_of_a_case_add_up(case: object) -> None:
    text = DOCUMENT.read_text()
    name = getattr(case, "name", "")
    section = text.partition(f"\n{name}, ")[2].partition("\n| **All** | | **")
    lines = [line for line in section[0].splitlines() if line.startswith("| ") and not line.startswith("| Part")]
    amounts = [float(line.rstrip("| ").rpartition("|")[2]) for line in lines]
    assert len(amounts) == 9
    # Nine lines of four decimals.
    assert sum(amounts) == pytest.approx(float(section[2].partition("*")[0]), abs=9 * 0.00005)


@pytest.mark.parametrize(("vector_type", "size"), [("float32", "2,449"), ("float16", "1,425"), ("int8", "918")])
def test_the_documents_row_sizes_are_those_of_rows(vector_type: str, size: str) -> None:
    rows = Rows(INT8_MODEL, 512, vector_type)  # type: ignore[arg-type]
    assert f"{rows.row_bytes(KEY_BYTES):,}" == size
    assert f"| `{vector_type}` | {size} bytes |" in DOCUMENT.read_text()
