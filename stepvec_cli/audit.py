"""`stepvec audit`: compares the whole table with the bucket."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape

from stepvec import codec
from stepvec.client.scope import scope_of
from stepvec.client.session import translate_aws_errors
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.answers import AuditAnswer
from stepvec_cli.console import answers, errors, tell
from stepvec_cli.deployment import deployed
from stepvec_cli.options import AsJson, DataStack, PipelineStack, Prefixes, Suffixes, Yes, suffix_rule
from stepvec_cli.views.plan import ignored_lines

if TYPE_CHECKING:
    from stepvec.audit.compare import Finding
    from stepvec.audit.table import AuditCounts

SHOWN: Final = 10
"""Findings of each kind that the terminal shows; `--json` gives all of them."""
REMEDIES: Final = {
    "RowWithoutImage": "if the images are gone for good: stepvec audit --delete-orphans",
    "ImageWithoutRow": "stepvec run PREFIX (images that cannot be embedded stay here: see the run's failures)",
    "OtherETag": "stepvec run PREFIX",
    "OtherModel": "stepvec run PREFIX",
    "NotIndexed": "stepvec run PREFIX (it copies them into the index)",
    "VectorWithoutRow": "stepvec audit --delete-orphans",
    "UnreadableRow": "delete these rows, and stepvec run PREFIX",
    "WrongVector": "stepvec run PREFIX --reembed",
}


def audit(
    paths: Prefixes = None,
    sample: Annotated[
        int, typer.Option(min=0, help="Number of rows whose images are embedded again and compared; 0 for none.")
    ] = 20,
    delete: Annotated[
        bool, typer.Option("--delete-orphans", help="Delete rows whose image is gone, after a question.")
    ] = False,
    yes: Yes = False,
    suffixes: Suffixes = None,
    as_json: AsJson = False,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Compare the whole table with the bucket and name what differs.

    Exit code 1 if anything does. Finds rows whose image is gone, images without a row, and rows of another version
    of the image or of another model. Of a sample it downloads the images, embeds them again on this machine, and
    compares the vectors. Where the deployment has an index of S3 Vectors, it finds rows that this lacks, and vectors
    without a row. Changes nothing, but for --delete-orphans: that deletes the rows whose image is gone with their
    vectors, and vectors without a row, once you have seen how many they are. A row that is embedded again meanwhile
    stays.

    Best while no run is going: what changes meanwhile may be reported as a difference. It reads every row once
    (DynamoDB charges half a read unit for each 4 KB) and lists every image. Memory does not grow with the table; a
    temporary file does. With --json each finding is a line, and the counts are the last.

    Examples:
        stepvec audit
        stepvec audit photos/2026 --sample 100
        stepvec audit --json | tail -n 1
        stepvec audit --delete-orphans
    """
    # Imported here: numpy takes a while, and `--help` does not need it.
    from local_pipeline.reembedding import reembedder
    from stepvec.audit.compare import FindingKind
    from stepvec.audit.orphans import Orphan, delete_orphans
    from stepvec.audit.table import audit_table

    orphan_kinds = (FindingKind.ROW_WITHOUT_IMAGE, FindingKind.VECTOR_WITHOUT_ROW)
    deployment = deployed(data_stack, pipeline_stack)
    findings: Counter[str] = Counter()

    with tempfile.TemporaryFile("w+") as orphans:

        def tell(finding: Finding) -> None:
            findings[finding.kind.value] += 1
            if finding.kind in orphan_kinds:
                orphans.write(json.dumps([finding.image_id, finding.key]) + "\n")
            if as_json:
                typer.echo(codec.to_json(finding))
            elif findings[finding.kind.value] <= SHOWN:
                _print(finding)

        rule = suffix_rule(suffixes, deployment.suffixes)
        with translate_aws_errors():
            scope = scope_of(deployment, paths or [])
            counts = audit_table(deployment, scope, suffixes=rule, sample=sample, embedder=reembedder, on_finding=tell)
        if as_json:
            typer.echo(codec.to_json(AuditAnswer(**codec.to_document(counts), findings=dict(findings))))
        else:
            _print_summary(counts, findings)
        if delete and _confirmed(sum(findings[kind.value] for kind in orphan_kinds), yes=yes):
            orphans.seek(0)
            with translate_aws_errors():
                done = delete_orphans(deployment, (Orphan(*json.loads(line)) for line in orphans))
            vectors = f", {done.vectors:,} vectors" if done.vectors else ""
            told = f"Deleted {done.deleted:,} rows{vectors}; kept {done.kept:,} that changed meanwhile."
            errors.print(told, highlight=False)
            for kind in orphan_kinds:
                findings.pop(kind.value, None)
    if findings:
        raise typer.Exit(1)


def _confirmed(count: int, *, yes: bool) -> bool:
    """Whether `count` rows may be deleted: by --yes, or by typing their number. Without a terminal nothing is."""
    if not count or yes:
        return count > 0
    if not sys.stdin.isatty():
        errors.print(f"Nothing deleted. To delete the {count:,} rows, add --yes.", highlight=False)
        return False
    answer = typer.prompt(f"Delete the {count:,} rows whose image is gone? Type {count} to do so", err=True, default="")
    return str(answer).strip() == str(count)


def _print(finding: Finding) -> None:
    # ascii(): a key may hold what moves the cursor or turns the line around.
    what = escape(ascii(finding.key or finding.image_id))
    line = f"[yellow]{finding.kind.value:<16}[/] {what}  [dim]{escape(finding.message)}[/]"
    answers.print(line, highlight=False, soft_wrap=True)


def _print_summary(counts: AuditCounts, findings: Counter[str]) -> None:
    for kind, count in findings.items():
        more = f", {count - SHOWN:,} of them not shown" if count > SHOWN else ""
        answers.print(f"[bold red]{count:,}[/] {kind}{more}: {REMEDIES[kind]}", highlight=False)
    word = "[bold red]differs[/]" if findings else "[bold green]agrees[/]"
    answers.print(
        f"{word}: {counts.rows:,} rows, {counts.images:,} images, {counts.matched:,} match by key, ETag and model; "
        f"{counts.sampled:,} embedded again; {counts.read_units:,.1f} read units"
        f"{f'; {counts.vectors:,} vectors in the index' if counts.vectors else ''}",
        highlight=False,
    )
    for line in ignored_lines(counts.ignored_by_suffix):
        tell(line, answers)
