"""The options of `stepvec local up` that start runs by themselves: whether they go together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from stepvec.schedules import parse_schedule


def check_triggers(
    settings: Mapping[str, Any], *, schedule: str, paths: list[str] | None, upload_window: int | None
) -> None:
    """Raises for options that cannot be meant, in their own names and before anything is started.

    `settings` are those of the user with the options in them.
    """
    if schedule:
        parse_schedule(schedule, settings.get("schedule_timezone", "UTC"))
    if schedule and not settings["schedule_paths"]:
        raise typer.BadParameter("--schedule needs --paths: what the scheduled runs embed.")
    if paths and not settings["schedule"]:
        raise typer.BadParameter("--paths is what scheduled runs embed: give --schedule too.")
    if upload_window is not None and not settings["upload_trigger"]:
        raise typer.BadParameter("--upload-window is for --upload-trigger: give that too.")
