"""`stepvec local run`: photos on this machine, embedded once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from stepvec.errors import OutputError
from stepvec_cli.console import tell
from stepvec_cli.local import CORES, EngineName, PrecisionName, Slots, cloud_with_spinner, engine_settings
from stepvec_cli.options import AsJson, Suffixes, suffix_rule
from stepvec_cli.progress import Steps


def run(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTOS...", help="Photos, or folders of photos.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(metavar="DIRECTORY", help="Where the results go.")] = Path("stepvec-out"),
    max_failures: Annotated[int, typer.Option(min=0, help="Photos that may fail without failing the run.")] = 0,
    shard_size: Annotated[int | None, typer.Option(min=1, help="Most photos in a shard.")] = None,
    suffixes: Suffixes = None,
    slots: Slots = CORES,
    engine: EngineName = None,
    precision: PrecisionName = None,
    as_json: AsJson = False,
) -> None:
    """Embed photos once: upload them, run the state machine, write the results.

    Writes report.json, vectors.parquet, failures.jsonl and gallery.html. Exit code 1 if the run is not complete.

    Examples:
        stepvec local run ~/Pictures
        stepvec local run a.jpg b.jpg --out two
        stepvec local run ~/Pictures --engine openvino --precision int8
    """
    ignored: Counter[str] = Counter()
    with Steps("Looking for photos"):
        # After something is on the screen: pyarrow, numpy and boto3 take a second.
        from local_pipeline.cloud import deployment_of
        from local_pipeline.installation import project_config
        from local_pipeline.one_shot import check_out, run_once
        from local_pipeline.photos import collect_photos
        from stepvec.adapters.executions import SUCCEEDED
        from stepvec_cli.answers import LocalRunAnswer, print_json
        from stepvec_cli.views.plan import ignored_lines
        from stepvec_cli.views.run import (
            RunLine,
            print_end,
            print_failures,
            print_likeness,
            print_results,
            result_files,
        )

        rule = suffix_rule(suffixes, project_config().suffix_rule)
        found = collect_photos(photos, ignored, suffixes=rule)
        check_out(out, len(found))
    for told in ignored_lines(ignored):
        tell(told)
    options: dict[str, Any] = {"MaxFailures": max_failures, "Suffixes": list(rule.more)}
    if shard_size is not None:
        options["ShardSize"] = shard_size
    name = f"local-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    with cloud_with_spinner(slots, engine_settings(engine, precision) or None) as cloud, RunLine(len(found)) as line:
        ended = run_once(deployment_of(cloud), found, options, out, name=name, watcher=line)
    print_end(ended)
    if line.results is not None:
        found_likeness, failures = line.results
        print_failures(failures)
        print_likeness(found_likeness)
    if line.fallback is not None:
        refusal, place = line.fallback
        print_results(place)
        raise OutputError(refusal.message, remedy=f"All results of the run are in {place}: move them from there.")
    if ended.report is not None:
        print_results(out)
    if as_json:
        files = tuple(str(path) for path in result_files(out)) if ended.report is not None else ()
        print_json(LocalRunAnswer(ended.run, ended.status, ended.error, ended.cause, ended.report, files))
    if ended.status != SUCCEEDED:
        raise typer.Exit(1)
