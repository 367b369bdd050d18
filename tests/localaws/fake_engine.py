"""Stands in for docker: writes down its arguments, and runs the image's program with just the variables it is given."""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path

arguments = sys.argv[1:]
with Path(os.environ["FAKE_ENGINE_LOG"]).open("a") as log:
    log.write(json.dumps(arguments) + "\n")
if arguments[0] == "ps":
    sys.stdout.write("left-over\n")
if arguments[0] == "run":
    names = [value for option, value in itertools.pairwise(arguments) if option == "--env"]
    environment = {name: os.environ[name] for name in names if name in os.environ}
    program = [sys.executable, "job.py", *arguments[arguments.index("image:tag") + 1 :]]
    os.execve(sys.executable, program, environment)  # noqa: S606 - it becomes the container's process
