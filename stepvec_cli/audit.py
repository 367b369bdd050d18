"""`stepvec audit`: the whole table held against the bucket."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape

from stepvec import codec
from stepvec.client.deployment import Deployment
from stepvec.client.session import explained, find_deployment
from stepvec.runs.run_input import WHOLE_BUCKET, parse_run_input
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.client import DataStack, PipelineStack
from stepvec_cli.console import errors

if TYPE_CHECKING:
    # Imported where they are used: numpy takes a while, and no other command of the client needs it.
    from stepvec.audit.compare import Finding

SHOWN: Final = 10
"""Findings of a kind that are named in the terminal; `--json` gives them all."""
REMEDIES: Final = {
    "RowWithoutImage": "delete these rows, if the images are gone for good",
    "ImageWithoutRow": "stepvec run PREFIX (images that cannot be embedded stay here: see the run's failures)",
    "OtherETag": "stepvec run PREFIX",
    "OtherModel": "stepvec run PREFIX",
    "UnreadableRow": "delete these rows, and stepvec run PREFIX",
    "WrongVector": "stepvec run PREFIX --reembed",
}


@dataclass(frozen=True, slots=True)
class AuditCounts:
    """What an audit looked at. `matched` rows have the key, the ETag and the model that they should have."""

    rows: int
    images: int
    matched: int
    sampled: int
    read_units: float


def audit(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATHS]...", help="Prefixes in the image bucket; without them all.")
    ] = None,
    sample: Annotated[
        int, typer.Option(min=0, help="Rows whose images are embedded again and compared; 0 for none.")
    ] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON a finding, the counts last.")] = False,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Hold the whole table against the bucket, and say what differs. Exit code 1 if anything does.

    Finds rows whose image is gone, images without a row, rows of another version of the image or of another model; of a
    sample it downloads the images, embeds them again on this machine, and compares the vectors. Changes nothing.

    Best while no run is going: what changes meanwhile may be found to differ. It reads every row once (DynamoDB charges
    half a read unit for each 4 KB) and lists every image. Memory does not grow with the table, a file on disk does.
    """
    deployment = find_deployment(data_stack, pipeline_stack)
    findings: Counter[str] = Counter()

    def tell(finding: Finding) -> None:
        findings[finding.kind.value] += 1
        if as_json:
            typer.echo(codec.to_json(finding))
        elif findings[finding.kind.value] <= SHOWN:
            _print(finding)

    with explained():
        counts = _audit(deployment, _prefixes(paths or [WHOLE_BUCKET], deployment), sample, tell)
    if as_json:
        typer.echo(json.dumps({**codec.to_document(counts), "findings": dict(findings)}))
    else:
        _print_summary(counts, findings)
    if findings:
        raise typer.Exit(1)


def _prefixes(paths: list[str], deployment: Deployment) -> tuple[str, ...]:
    """The prefixes as a run takes them."""
    buckets = {"image_bucket": deployment.image_bucket, "work_bucket": deployment.work_bucket}
    return parse_run_input({"Paths": paths}, **buckets, default_shard_size=1).prefixes


def _audit(
    deployment: Deployment, prefixes: tuple[str, ...], sample: int, tell: Callable[[Finding], None]
) -> AuditCounts:
    from local_pipeline.reembedding import reembedder
    from stepvec.audit.compare import MatchedRow, Sample, compare
    from stepvec.audit.reading import Reading, check_vectors, list_images, scan_metadata
    from stepvec.audit.sorting import sorted_by_key

    reading = Reading()
    chosen: Sample[MatchedRow] = Sample(sample, random.Random())  # noqa: S311 - a sample, no secret
    matched = 0
    with sorted_by_key(scan_metadata(deployment, prefixes, reading)) as rows:
        for result in compare(rows, list_images(deployment, prefixes, reading), model=deployment.model):
            if isinstance(result, MatchedRow):
                matched += 1
                chosen.offer(result)
            else:
                tell(result)
    if chosen.chosen:
        with reembedder(deployment.model) as embedder:
            for finding in check_vectors(deployment, chosen.chosen, embedder):
                if finding is not None:
                    tell(finding)
    return AuditCounts(reading.rows, reading.images, matched, len(chosen.chosen), reading.read_units)


def _print(finding: Finding) -> None:
    # ascii(): a key may hold what moves the cursor or turns the line around.
    what = escape(ascii(finding.key or finding.image_id))
    line = f"[yellow]{finding.kind.value:<16}[/] {what}  [dim]{escape(finding.message)}[/]"
    errors.print(line, highlight=False, soft_wrap=True)


def _print_summary(counts: AuditCounts, findings: Counter[str]) -> None:
    for kind, count in findings.items():
        more = f", {count - SHOWN:,} of them not shown" if count > SHOWN else ""
        errors.print(f"[bold red]{count:,}[/] {kind}{more}: {REMEDIES[kind]}", highlight=False)
    word = "[bold red]differs[/]" if findings else "[bold green]agrees[/]"
    errors.print(
        f"{word}: {counts.rows:,} rows, {counts.images:,} images, {counts.matched:,} match by key, ETag and model; "
        f"{counts.sampled:,} embedded again; {counts.read_units:,.1f} read units",
        highlight=False,
    )
