"""Records what commands show in a terminal, from real runs, into docs/images/*.svg: `make recordings`.

Each session is typed into a shell in a pseudo-terminal. pyte, a terminal in Python, keeps the screen as a person would
see it at the end; rich draws it as SVG. Sessions that need a deployment have one on an embedded AWS of their own.
"""

from __future__ import annotations

import argparse
import io
import os
import pty
import re
import struct
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import ioctl
from typing import Any, Final

import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

from local_pipeline.cloud import deployment_of, embedded_cloud
from local_pipeline.installation import ROOT

IMAGES: Final = ROOT / "docs" / "images"
COLUMNS, ROWS = 100, 120
SVG_FORMAT: Final = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "Fira Code, monospace", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
)
"""rich's, without the font that it would fetch from elsewhere."""
_COLOURS: Final = {"default": None, "brown": "yellow", "brightbrown": "bright_yellow"}


@dataclass(frozen=True)
class Session:
    """Commands typed one after the other. Those of `before` are not shown; `deployed` ones find a deployment."""

    name: str
    commands: tuple[str, ...]
    before: tuple[str, ...] = ()
    deployed: bool = False


SESSIONS: Final = (
    Session("demo", ("make demo",)),
    Session("local-run", ("stepvec local run photos/wardrobe/shoes photos/wardrobe/hat --out build/holiday",)),
    Session(
        "run-wait",
        ("stepvec run wardrobe --wait", "stepvec run wardrobe --wait   # again: what is there is proven, not embedded"),
        before=(
            "aws s3 cp photos/wardrobe s3://$STEPVEC_IMAGE_BUCKET/wardrobe --recursive --quiet --exclude cut-off.jpg",
        ),
        deployed=True,
    ),
    Session(
        "failure",
        (
            "stepvec local run photos/wardrobe --out build/holiday",
            'echo "exit code $?"',
            "stepvec local run photos/wardrop",
        ),
    ),
)


def record(session: Session, environment: Mapping[str, str]) -> str:
    """What the terminal shows after the session, as SVG."""
    program = "\n".join([*session.before, *(_typed(command) for command in session.commands)])
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(ROOT)
        os.execve("/bin/bash", ["bash", "-c", program], dict(environment))  # noqa: S606, a shell it is
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    for chunk in _output(terminal):
        stream.feed(chunk)
    os.waitpid(process, 0)
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    # rich clips what hangs below the last line.
    console.print(_drawn(screen), "", sep="\n")
    return console.export_svg(
        title="stepvec", theme=MONOKAI, code_format=SVG_FORMAT, unique_id=f"stepvec-{session.name}"
    )


def _typed(command: str) -> str:
    """Shell text that shows the command behind a prompt, and runs it."""
    quoted = command.replace("'", "'\\''")
    return f"status=$?; printf '\\033[1;32m$\\033[0m %s\\n' '{quoted}'; (exit $status)\n{command}"


def _output(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux says so when the last process has closed it
            return
        if not chunk:
            return
        yield chunk


def _drawn(screen: Any) -> Text:
    """The screen down to its last line that is not empty."""
    lines = [_line(screen.buffer[row], screen.columns) for row in range(screen.lines)]
    while lines and not lines[-1].plain:
        lines.pop()
    return Text("\n").join(lines)


def _line(cells: Any, columns: int) -> Text:
    line = Text()
    for column in range(columns):
        cell = cells[column]
        colour = _COLOURS.get(cell.fg, cell.fg)
        if colour is not None:
            colour = (
                f"#{colour}" if re.fullmatch("[0-9a-f]{6}", colour) else re.sub("^bright(?=[a-z])", "bright_", colour)
            )
        line.append(cell.data, Style(color=colour, bold=cell.bold, italic=cell.italics, underline=cell.underscore))
    line.rstrip()
    return line


@contextmanager
def _environment(deployed: bool) -> Iterator[dict[str, str]]:
    """What the shell has: Stepvec's commands on the path, no AWS settings but those of a deployment made for it."""
    inherited = {name: os.environ[name] for name in ("HOME", "PATH", "PYTHONPYCACHEPREFIX") if name in os.environ}
    environment = {
        **inherited,
        "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{inherited['PATH']}",
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
    }
    if not deployed:
        yield environment
        return
    with embedded_cloud(os.cpu_count() or 1) as cloud:
        deployment = deployment_of(cloud)
        yield {
            **environment,
            "AWS_ENDPOINT_URL": cloud.endpoint_url,
            "AWS_ACCESS_KEY_ID": cloud.access_key_id,
            "AWS_SECRET_ACCESS_KEY": cloud.secret_access_key,
            "AWS_REGION": cloud.region,
            "STEPVEC_IMAGE_BUCKET": deployment.image_bucket,
        }


def main() -> None:
    """Record the sessions that the command line names, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [session.name for session in SESSIONS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names)}; all if left out")
    wanted = parser.parse_args().names or names
    os.environ.pop("PYTHONPATH", None)  # Lambdas and worker have environments of their own.
    for session in SESSIONS:
        if session.name in wanted:
            with _environment(session.deployed) as environment:
                drawing = record(session, environment)
            path = IMAGES / f"{session.name}.svg"
            path.write_text(drawing, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: {len(drawing) // 1024} KB", flush=True)


if __name__ == "__main__":
    main()
