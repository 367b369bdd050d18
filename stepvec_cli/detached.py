"""A local AWS in the background: started, waited for, left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

import typer

from stepvec.client.local_aws import LocalAws, all_up, log_of, taken

_ASK_SECONDS: Final = 0.1
OPTION: Final = "--detach"


def start_detached(arguments: Sequence[str], name: str) -> LocalAws:
    """Run `stepvec` with `arguments` (but for --detach) in the background, and return when it is up.

    It has a session of its own, so neither Ctrl-C nor a closed terminal reaches it. Raises ConfigurationError where the
    name is taken, and typer.Exit, after what the process has said, where it ends before it is up.
    """
    for local in all_up(os.environ):
        if local.name == name:
            raise taken(name, local)
    log = log_of(name, os.environ)
    # It prints the keys, too.
    private = os.open(log, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(private, "w+", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "stepvec_cli", *(word for word in arguments if word != OPTION)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                for local in all_up(os.environ):
                    if local.pid == process.pid:
                        return local
                time.sleep(_ASK_SECONDS)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        output.seek(0)
        typer.echo(output.read().rstrip(), err=True)
        log.unlink(missing_ok=True)
    raise typer.Exit(process.returncode if process.returncode > 0 else 128 - process.returncode)
