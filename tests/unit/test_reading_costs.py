"""What docs/export.md says a table costs to read is what its prices make of it."""

from __future__ import annotations

import re

import pytest

from stepvec.adapters.figures import load_prices
from stepvec.estimate.reading import export_usd, scan_units, scan_usd
from stepvec.rows.item import VectorType
from stepvec.rows.units import Rows
from tests.conftest import ROOT

DOCUMENT = ROOT / "docs" / "export.md"
KEY_BYTES = 60


@pytest.mark.parametrize(
    ("name", "dimension", "vector_type"), [("512 in int8", 512, "int8"), ("1,280 in float32", 1280, "float32")]
)
def test_the_documents_costs_are_those_of_the_prices(name: str, dimension: int, vector_type: VectorType) -> None:
    size = Rows("efficientnet_lite0/ab3352bc3c78/standard-1/openvino-bf16", dimension, vector_type).row_bytes(KEY_BYTES)
    prices, rows = load_prices(), 10_000_000
    scan, export = scan_usd(rows, size, prices), export_usd(rows, size, prices)
    assert scan
    assert export
    line = f"| {name} | {rows * size / 1e9:.0f} GB | ${scan:.2f} | ${export:.2f} |"
    assert line in DOCUMENT.read_text(), line


def test_from_how_many_reads_on_an_export_is_cheaper() -> None:
    prices = load_prices()
    scan, export = scan_usd(10**6, 5000, prices), export_usd(10**6, 5000, prices)
    assert scan
    assert export
    (told,) = re.findall(r"from the (\d+)th read on", DOCUMENT.read_text())
    assert scan * (int(told) - 1) <= export < scan * int(told)


def test_a_page_of_a_megabyte_takes_128_units() -> None:
    assert scan_units(200, 1024 * 1024 // 200) == pytest.approx(128, rel=0.01)
