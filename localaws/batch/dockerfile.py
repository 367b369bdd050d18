"""What a local process needs from a Dockerfile: the program it starts and the variables it sets."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from localaws.errors import ImageError

_EXEC_FORM = 'Write it in exec form, for example ENTRYPOINT ["python", "-m", "worker"].'


@dataclass(frozen=True, slots=True)
class Image:
    """A container image as a local process: where it is built from, its tag, program and variables."""

    tag: str
    folder: Path
    entrypoint: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()


def read_image(tag: str, folder: Path, dockerfile: str) -> Image:
    """The image that `dockerfile` (a path in `folder`) builds. The last ENTRYPOINT counts, and every ENV.

    Raises ImageError when it has no ENTRYPOINT, or one in shell form, which takes no arguments from the job.
    """
    path = folder / dockerfile
    entrypoint: str | None = None
    environment: dict[str, str] = {}
    for instruction, arguments in _instructions(path):
        if instruction == "ENTRYPOINT":
            entrypoint = arguments
        elif instruction == "ENV":
            environment.update(_variables(arguments))
    if entrypoint is None:
        raise ImageError(f"{path} has no ENTRYPOINT.", remedy=_EXEC_FORM)
    return Image(tag, folder, _words(path, entrypoint), tuple(environment.items()))


def image_command(image: Image, arguments: list[str], worker_python: Path) -> list[str]:
    """What to execute for a job of `image`: Python of the container becomes `worker_python`.

    Raises ImageError for an image that does not start Python.
    """
    program, *rest = image.entrypoint
    if program in {"python", "python3"}:
        return [str(worker_python), *rest, *arguments]
    raise ImageError(
        f"The image in {image.folder} starts {shlex.join(image.entrypoint)}, which is not a Python program.",
        remedy="Locally only an ENTRYPOINT that starts with python or python3 can run.",
    )


def _instructions(path: Path) -> Iterator[tuple[str, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}", remedy="Synthesize again.") from error
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        instruction, _, arguments = line.strip().partition(" ")
        if instruction:
            yield instruction.upper(), arguments.strip()


def _words(path: Path, entrypoint: str) -> tuple[str, ...]:
    try:
        words = json.loads(entrypoint)
    except ValueError:
        raise ImageError(f"The ENTRYPOINT of {path} is in shell form: {entrypoint}", remedy=_EXEC_FORM) from None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise ImageError(f"The ENTRYPOINT of {path} is not a list of words.", remedy=_EXEC_FORM)
    return tuple(words)


def _variables(arguments: str) -> Iterator[tuple[str, str]]:
    first, _, rest = arguments.partition(" ")
    if "=" not in first:
        # The old form: ENV name the whole rest of the line.
        yield first, rest.strip()
        return
    for word in shlex.split(arguments):
        name, _, value = word.partition("=")
        yield name, value
