"""What several folders of tests share: the synthesized app, and the photos beside the checkout."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testkit.browser import Browser, find_browser

ROOT = Path(__file__).resolve().parent.parent
_STATE = tempfile.TemporaryDirectory(prefix="stepvec-tests-")
# A local AWS that is up on this machine is none of the tests' business, nor theirs of its user's.
os.environ["STEPVEC_STATE"] = _STATE.name
for _number in (signal.SIGINT, signal.SIGHUP):
    # A shell that runs tests in the background ignores the one, nohup the other, and what tests start inherits it.
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)
CLOTHING = ROOT.parent / "shared" / "data" / "clothing"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names bytes by their length: zip and gzip write the time into theirs.

    All processes of pytest-xdist must find the same names, and they begin in different seconds.
    """
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def _the_environment_is_put_back() -> Iterator[None]:
    """A command that is run in this process may set variables: `--profile` does."""
    before = dict(os.environ)
    yield
    if dict(os.environ) != before:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app, synthesized once as `stepvec local` does it: in a process of its own, without AWS credentials.

    Once for all processes of pytest-xdist: CDK takes ten seconds of CPU. Whoever changes something in it, copies it.
    """
    from local_pipeline.installation import synthesize

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, is_whole = shared / "assembly" / "cdk.out", shared / "assembly" / "is-whole"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_whole.exists():
            synthesize(folder)
            is_whole.touch()
    return folder


@pytest.fixture(scope="session")
def templates(assembly: Path) -> dict[str, Any]:
    """The templates by stack name."""
    return {
        stack: json.loads((assembly / f"{stack}.template.json").read_text())
        for stack in ("StepvecData", "StepvecPipeline")
    }


@pytest.fixture(scope="session")
def clothing() -> Path:
    """800 photos of ten kinds of clothes, a folder each."""
    if not CLOTHING.is_dir():
        pytest.skip("the clothing photos are not beside this checkout (../shared/data/clothing)")
    return CLOTHING


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium, for all tests that look at pages."""
    path = find_browser()
    if path is None:
        assert not os.environ.get("CI"), "CI has a browser: .ci/run installs one"
        pytest.skip("there is no Chromium; on Debian: apt-get install chromium")
    with Browser(path) as started:
        yield started
