"""What is written, and where."""

from __future__ import annotations

from typing import Final

from tests.cli.mistakes.case import Mistake
from tests.cli.mistakes.scenes import closed_folder, full_disk, read_only_disk, small_disk

PLACES: Final = (
    Mistake(
        "stepvec local run holiday --out letter.txt",
        "results into a file",
        "FOLDER/letter.txt is a file, and a folder is needed there.",
        "Give another place with --out.",
    ),
    Mistake(
        "stepvec local run holiday --out letter.txt/results",
        "results below a file",
        "FOLDER/letter.txt is a file, and a folder is needed there.",
        "Give another place with --out.",
    ),
    Mistake(
        "stepvec local run holiday --out stick/results",
        "results on a read-only disk",
        "FOLDER/stick/results cannot be written: Read-only file system.",
        "Give another place with --out.",
        scene=read_only_disk,
    ),
    Mistake(
        "stepvec local run holiday --out stick",
        "results on a full disk",
        "FOLDER/stick cannot be written: its disk is full.",
        "Free some space. Give another place with --out.",
        scene=full_disk,
    ),
    Mistake(
        "stepvec local run holiday --out stick",
        "results on a disk with too little space",
        "FOLDER/stick has 65.5 kB free, and the results of 1 photo are expected to take 154.5 kB.",
        "Free some space. Give another place with --out.",
        scene=small_disk,
    ),
    Mistake(
        "stepvec local run holiday --out LONG",
        "a name that is too long",
        "LONG/report.json cannot be written: File name too long.",
        "Give another place with --out.",
    ),
    Mistake(
        "stepvec export --out letter.txt",
        "vectors over a letter",
        "letter.txt ends in .txt, and an export is a folder of files, or one file *.parquet.",
        "Name a folder with --out, and the form with --format: csv, jsonl, npy, lance or parquet.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec export --out v.csv",
        "another form by the name's end",
        "v.csv ends in .csv, and an export is a folder of files, or one file *.parquet.",
        "Name a folder with --out, and the form with --format: csv, jsonl, npy, lance or parquet.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec export --out documents",
        "vectors into a folder with other files",
        "documents holds other files.",
        "Give another --out, a folder that does not exist yet.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec export --out stick/v.parquet",
        "vectors onto a read-only disk",
        "FOLDER/stick cannot be written: Read-only file system.",
        "Give another place with --out.",
        needs_aws=True,
        scene=read_only_disk,
    ),
    Mistake(
        "stepvec export --out letter.txt/v.parquet",
        "vectors below a file",
        "FOLDER/letter.txt is a file, and a folder is needed there.",
        "Give another place with --out.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec export --out v.parquet --format csv",
        "two forms at once",
        "v.parquet ends in .parquet, and --format is csv.",
        "Name a folder with --out, and the form with --format: csv, jsonl, npy, lance or parquet.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec report holiday --html documents",
        "a page over a folder",
        "documents is a folder, and a file is to be written.",
        "Name a file. Give another place with --html.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec report holiday --html stick/page.html",
        "a page onto a full disk",
        "FOLDER/stick cannot be written: its disk is full.",
        "Free some space. Give another place with --html.",
        needs_aws=True,
        scene=full_disk,
    ),
    Mistake(
        "stepvec report holiday --json > /dev/full",
        "a report into a file on a full disk",
        "The disk is full, where output or temporary files go.",
        "Free some space. Temporary files go elsewhere with TMPDIR=FOLDER.",
        needs_aws=True,
        as_process=True,
    ),
    Mistake(
        "stepvec weights --out letter.txt",
        "a model into a file",
        "FOLDER/letter.txt is a file, and a folder is needed there.",
        "Give another place with --out.",
    ),
    Mistake(
        "stepvec weights --out stick/model",
        "a model onto a read-only disk",
        "FOLDER/stick/model cannot be written: Read-only file system.",
        "Give another place with --out.",
        scene=read_only_disk,
    ),
    Mistake(
        "stepvec weights --out stick/model",
        "a model onto a disk with too little space",
        "FOLDER/stick/model has 65.5 kB free, and the weights are expected to take 50.0 MB.",
        "Free some space. Give another place with --out.",
        scene=small_disk,
    ),
    Mistake(
        "stepvec local run holiday --out closed",
        "results into a folder that one may not write to",
        "FOLDER/closed cannot be written: Permission denied.",
        "Give another place with --out.",
        scene=closed_folder,
        as_process=True,
    ),
)
