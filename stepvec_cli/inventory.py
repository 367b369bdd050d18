"""`stepvec inventory`: makes an S3 Inventory in Parquet or ORC one that a run can read."""

from __future__ import annotations

from typing import Annotated

import typer

from stepvec.adapters.object_store import ObjectStore
from stepvec.client.session import translate_aws_errors
from stepvec.runs.layout import S3Uri
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.answers import InventoryAnswer, print_json
from stepvec_cli.deployment import deployed
from stepvec_cli.options import AsJson, DataStack, PipelineStack
from stepvec_cli.progress import Steps


def inventory(
    uri: Annotated[str, typer.Argument(metavar="URI", help="S3 URI of the inventory's manifest.json.")],
    as_json: AsJson = False,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Make an S3 Inventory in Parquet or ORC one that a run can read.

    Writes it to the work bucket as CSV, and prints what to give as Manifest.

    Examples:
        stepvec inventory s3://my-inventory/2026-11-01T01-00Z/manifest.json
        stepvec run --manifest "$(stepvec inventory s3://my-inventory/manifest.json)"
    """
    # Imported here: pyarrow takes most of a second, and `--help` does not need it.
    from stepvec.client.inventory import inventory_as_csv

    manifest = S3Uri.parse(uri)
    deployment = deployed(data_stack, pipeline_stack)
    with translate_aws_errors(), Steps("Reading the inventory") as steps:
        converted = inventory_as_csv(
            ObjectStore(deployment.client("s3")),
            manifest,
            deployment.work_bucket,
            on_file=lambda done, files: steps(f"Reading the inventory: {done} of {files} files"),
        )
    if as_json:
        print_json(InventoryAnswer(str(converted)))
    else:
        typer.echo(str(converted))
