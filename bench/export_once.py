"""One export of a synthetic table in a process of its own, for bench.exporting: ours, or a way without it."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from stepvec.export.columns import row_schema
from stepvec.export.exporter import Exporter
from stepvec.export.format import ExportOrigin
from stepvec.export.selection import Selection
from stepvec.export.sources import ScanSource
from stepvec.export.targets import FolderTarget
from stepvec.rows.vectors import read_vector
from testkit.storage.synthetic import MODEL


def ours(table: str, out: Path, numbers: Any) -> int:
    """`stepvec export`, from the scan on."""
    selection = Selection(MODEL, is_named=False)
    client = boto3.Session().client("dynamodb")
    source = ScanSource(client, ExportOrigin(table, client.meta.region_name, "images"), selection)
    return Exporter(source, selection, FolderTarget(out), version="bench", numbers=numbers).run().rows


def in_memory(table: str, out: Path, numbers: Any) -> int:
    """What a script would do: boto3's Table, page after page into a list, then one Parquet file."""
    scanned = boto3.resource("dynamodb").Table(table)
    rows: list[Any] = []
    request: dict[str, Any] = {}
    while True:
        page = scanned.scan(**request)
        rows += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    vectors = [read_vector({**row, "Vector": bytes(row["Vector"])}) for row in rows]
    vector = row_schema(len(vectors[0]), numbers).field("vector").type
    columns = {name: [row[name] for row in rows] for name in ("ImageId", "Key", "ETag", "Model", "Run", "Created")}
    out.mkdir()
    pq.write_table(pa.table({**columns, "vector": pa.array(vectors, vector)}), out / "vectors.parquet")
    return len(rows)


def main() -> None:
    """Export, and print the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=["ours", "in-memory"])
    parser.add_argument("table")
    parser.add_argument("out", type=Path)
    parser.add_argument("--numbers", default="float32")
    arguments = parser.parse_args()
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    export = ours if arguments.way == "ours" else in_memory
    print(json.dumps({"rows": export(arguments.table, arguments.out, arguments.numbers)}))


if __name__ == "__main__":
    main()
