"""What reading a whole table costs: by a Scan, or by DynamoDB's own export to S3."""

from __future__ import annotations

from stepvec.estimate.prices import Prices
from stepvec.limits import READ_UNIT_BYTES
from stepvec.rows.units import ROW_OVERHEAD_BYTES


def scan_units(rows: int, row_bytes: int) -> float:
    """Read units of an eventually consistent Scan: half of one for each 4 KB of a page, not of a row.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html#Scan.CapacityUnits
    """
    return rows * row_bytes / READ_UNIT_BYTES / 2


def scan_usd(rows: int, row_bytes: int, prices: Prices) -> float | None:
    """US dollars of one Scan; None if the price is unknown."""
    return _times(scan_units(rows, row_bytes), prices.each("dynamodb_read_unit"))


def export_usd(rows: int, row_bytes: int, prices: Prices) -> float | None:
    """US dollars of one export to S3, which is paid by the table's size; None if the price is unknown."""
    return _times(rows * (row_bytes + ROW_OVERHEAD_BYTES) / 1e9, prices.each("dynamodb_export"))


def _times(amount: float, usd: float | None) -> float | None:
    return None if usd is None else amount * usd
