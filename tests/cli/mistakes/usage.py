"""The command line itself."""

from __future__ import annotations

from typing import Final

from tests.cli.mistakes.case import Mistake

USAGE: Final = (
    Mistake(
        "stepvec pln",
        "a slip in the command's name",
        "No such command 'pln'. Did you mean 'plan'?",
        "See: stepvec --help",
        2,
    ),
    Mistake(
        "stepvec local rnu holiday",
        "a slip in a command of `local`",
        "No such command 'rnu'. Did you mean 'run'?",
        "See: stepvec local --help",
        2,
    ),
    Mistake(
        "stepvec plan --imges 300",
        "a slip in an option's name",
        "No such option: --imges (Possible options: --image-kb, --images)",
        "See: stepvec plan --help",
        2,
    ),
    Mistake(
        "stepvec plan --images many",
        "a word instead of a number",
        "Invalid value for '--images': 'many' is not a number of images: write 1000000, or 1e6.",
        "See: stepvec plan --help",
        2,
    ),
    Mistake(
        "stepvec plan --images -1",
        "a negative number",
        "Invalid value for '--images': '-1' is not a number of images: write 1000000, or 1e6.",
        "See: stepvec plan --help",
        2,
    ),
    Mistake(
        "stepvec plan --images 1.5",
        "half an image",
        "Invalid value for '--images': '1.5' is not a number of images: write 1000000, or 1e6.",
        "See: stepvec plan --help",
        2,
    ),
    Mistake(
        "stepvec plan --images 300 --shard-size 0",
        "shards of nothing",
        "Invalid value for '--shard-size': It should be greater than or equal to 1",
        "See: stepvec plan --help",
        2,
    ),
    Mistake(
        "stepvec plan --images 300 --engine tensorrt",
        "an engine that there is not",
        "Invalid value for '--engine': 'tensorrt' is not one of 'mxnet', 'openvino', 'onnxruntime'.",
        "See: stepvec plan --help",
        2,
    ),
    Mistake(
        "stepvec plan --images 300 --engine mxnet --precision int8",
        "an engine and a precision that do not go together",
        "Engine mxnet computes in float32 only, not in int8.",
        "Use engine openvino for it.",
    ),
    Mistake(
        "stepvec plan", "neither prefixes nor a number", "Give prefixes, or --images.", "See: stepvec plan --help", 2
    ),
    Mistake(
        "stepvec plan photos --images 300",
        "both prefixes and a number",
        "Give prefixes, or --images.",
        "See: stepvec plan --help",
        2,
    ),
    Mistake(
        "stepvec run", "neither prefixes nor a manifest", "Give prefixes, or --manifest.", "See: stepvec run --help", 2
    ),
    Mistake(
        "stepvec run photos --manifest s3://WORK/keys.jsonl",
        "both prefixes and a manifest",
        "Give prefixes, or --manifest.",
        "See: stepvec run --help",
        2,
        needs_aws=True,
    ),
    Mistake("stepvec report", "no run", "Missing argument 'RUN'.", "See: stepvec report --help", 2),
    Mistake(
        "stepvec export --since",
        "an option without its value",
        "Option '--since' requires an argument.",
        "See: stepvec export --help",
        2,
    ),
    Mistake("stepvec local run", "no photos", "Missing argument 'PHOTOS...'.", "See: stepvec local run --help", 2),
    Mistake(
        "stepvec local run holiday --slots 0",
        "no job at a time",
        "Invalid value for '--slots': It should be greater than or equal to 1",
        "See: stepvec local run --help",
        2,
    ),
    Mistake(
        "stepvec weights --from a.params --source torchvision",
        "two options that exclude each other",
        "--from and --source exclude each other.",
        "See: stepvec weights --help",
        2,
    ),
    Mistake(
        "stepvec audit --sample -5",
        "a negative sample",
        "Invalid value for '--sample': It should be greater than or equal to 0",
        "See: stepvec audit --help",
        2,
    ),
    Mistake(
        "stepvec calibrate holiday --images 3",
        "fewer photos than it takes",
        "Invalid value for '--images': It should be greater than or equal to 32",
        "See: stepvec calibrate --help",
        2,
    ),
    Mistake(
        "stepvec local run 'no [bold]such[/bold] folder'",
        "a name that looks like markup: it is printed as it is",
        "no [bold]such[/bold] folder does not exist.",
        "Give photos, or folders of photos.",
    ),
    Mistake(
        "stepvec local run Füße.jpg",
        "a name that is not there, with umlauts, in LC_ALL=C",
        "Füße.jpg does not exist.",
        "Give photos, or folders of photos.",
        environment={"LC_ALL": "C", "LANG": "C"},
        as_process=True,
    ),
    Mistake(
        "stepvec local run Füße.jpg 2> said; cat said >&2",
        "errors into a file: no colours, no line broken at 60 columns",
        "Füße.jpg does not exist.",
        "Give photos, or folders of photos.",
        0,
        environment={"COLUMNS": "60"},
        as_process=True,
    ),
    Mistake(
        "stepvec plan --images 300 > /dev/full",
        "the answer into a file on a full disk",
        "The disk is full, where output or temporary files go.",
        "Free some space. Temporary files go elsewhere with TMPDIR=FOLDER.",
        as_process=True,
    ),
)
