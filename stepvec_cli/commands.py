"""Every command of `stepvec`: its name, where it is, its line in the list of commands.

A command's module is imported when the command is called, or asked for its help, and not before: `stepvec --help` reads
this table alone. A new command is a module with one function, and one row here (CONTRIBUTING.md, "A command").
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Row(NamedTuple):
    """A command: what is typed, `module:function` below stepvec_cli, the first line of the function's docstring."""

    name: str
    target: str
    help: str
    aws: bool = False
    """Whether it speaks to AWS: it then has the options --profile and --region."""
    account: bool = False
    """Whether it is about an AWS account: it then never takes a local AWS that is up, where no AWS is configured."""


class Section(NamedTuple):
    """Commands that the list of commands shows under one title."""

    title: str
    rows: tuple[Row, ...]


LOCAL_HELP: Final = "The whole pipeline on this machine: no AWS account, no Docker."

LOCAL: Final = (
    Section(
        "Commands",
        (
            Row("run", "local_run:run", "Embed photos once: upload them, run the state machine, write the results."),
            Row("up", "local_up:up", "Start a local AWS with the pipeline deployed, and keep it running."),
            Row("status", "local_status:status", "Say which local AWS are up."),
            Row("env", "local_env:env", "Print what a shell must set for its commands to use the local AWS."),
            Row("exec", "local_exec:run", "Run a command that uses the local AWS, and no other."),
            Row("down", "local_down:down", "End a local AWS. Nothing of it is kept."),
        ),
    ),
)
"""The commands of `stepvec local`."""

COMMANDS: Final = (
    Section("On this machine", (Row("local", "", LOCAL_HELP),)),
    Section(
        "Deployment",
        (
            Row(
                "doctor",
                "doctor:doctor",
                "Look at everything that a deployment and a first run need.",
                aws=True,
                account=True,
            ),
            Row("deploy", "deploy:deploy", "Build the image and deploy both stacks.", aws=True, account=True),
            Row("destroy", "destroy:destroy", "Delete the pipeline stack; buckets and table are kept.", aws=True),
        ),
    ),
    Section(
        "Runs",
        (
            Row("plan", "plan:plan", "Estimate how long embedding takes and what it costs. Starts nothing.", aws=True),
            Row("run", "run:run", "Start a run on the deployed pipeline.", aws=True),
            Row("status", "status:status", "Show the newest runs, or how far one run is.", aws=True),
            Row("report", "report:report", "Print a run's report.", aws=True),
            Row("repair", "repair:repair", "Finish what a run left undone.", aws=True),
            Row("cancel", "cancel:cancel", "Stop a run and its jobs. What is stored stays.", aws=True),
        ),
    ),
    Section(
        "Vectors",
        (
            Row("export", "export:export", "Write the table's vectors to Parquet files, or others.", aws=True),
            Row("index", "index:index", "Make the index of an export, for search and duplicates."),
            Row("search", "search:search", "Find the images that are most like a photo.", aws=True),
            Row(
                "duplicates",
                "duplicates:duplicates",
                "Find images that are the same or nearly so, and say which of each group to keep.",
                aws=True,
            ),
            Row("view", "view:view", "Serve a page of all photos to this machine: search, map, duplicates.", aws=True),
            Row("outliers", "outliers:outliers", "Find the images that are like no others.", aws=True),
            Row("audit", "audit:audit", "Compare the whole table with the bucket and name what differs.", aws=True),
        ),
    ),
    Section(
        "Preparing",
        (
            Row(
                "weights",
                "weights:weights",
                "Get trained weights, and make the worker's model directory.",
                aws=True,
                account=True,
            ),
            Row("calibrate", "calibrate:calibrate", "Find which layers may compute in int8.", aws=True),
            Row(
                "inventory",
                "inventory:inventory",
                "Make an S3 Inventory in Parquet or ORC one that a run can read.",
                aws=True,
            ),
        ),
    ),
)
"""The commands of `stepvec`; `local` has commands of its own."""
