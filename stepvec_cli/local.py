"""`stepvec local`: the pipeline on this machine, with no AWS account and no Docker."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stepvec.adapters.isolation import isolate_process
from stepvec.rows.model import Engine, Precision
from stepvec_cli.progress import Steps

if TYPE_CHECKING:
    from localaws import EmbeddedCloud

CORES: Final = os.cpu_count() or 1

Slots = Annotated[
    int,
    typer.Option(
        min=1, show_default="one for each core", help="Batch jobs that run at a time; each keeps one core busy."
    ),
]
EngineName = Annotated[Engine | None, typer.Option(help="What computes the vectors; if left out, what cdk.json says.")]
PrecisionName = Annotated[
    Precision | None, typer.Option(help="With openvino also bf16, or int8 once `stepvec calibrate` has run.")
]


def engine_settings(engine: Engine | None, precision: Precision | None) -> dict[str, str]:
    """Settings for the options that were given, none for those left out."""
    return {name: value for name, value in (("engine", engine), ("precision", precision)) if value is not None}


@contextmanager
def cloud_with_spinner(
    slots: int, settings: Mapping[str, Any] | None = None, *, port: int = 0
) -> Iterator[EmbeddedCloud]:
    """The embedded AWS, with a spinner until it is there. From here on the process has no AWS settings but its own."""
    with ExitStack() as stack:
        with Steps("Starting") as steps:
            isolate_process()
            from local_pipeline.cloud import embedded_cloud  # after something is on the screen

            cloud = stack.enter_context(embedded_cloud(slots, settings, steps, port=port))
        yield cloud
