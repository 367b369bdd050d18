"""The local AWS that are up on this machine (`stepvec local up`), as their user's other commands find them.

Each has a file in a folder that is its user's alone: where it is, and the keys to it. It also holds a lock there for as
long as it lives, so a file without one is of a process that is gone, and is removed by whoever looks.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from stepvec import codec
from stepvec.adapters.isolation import NO_FILES, is_sdk_setting, past_the_proxy
from stepvec.adapters.locks import lock_file
from stepvec.errors import ConfigurationError, InvalidInputError, RecordError

DEFAULT_NAME: Final = "local"
STATE_VARIABLE: Final = "STEPVEC_STATE"
"""The folder, if it is to be another."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_SUFFIXES: Final = (".json", ".lock")
_LOOKING_SECONDS: Final = 1.0
"""For as long as that a lock may be held by somebody who only looks."""


@dataclass(frozen=True, slots=True)
class LocalAws:
    """A local AWS that is up: who runs it since when (UTC, ISO 8601), its endpoint and keys, the deployed pipeline."""

    name: str
    pid: int
    started: str
    endpoint_url: str
    access_key_id: str
    secret_access_key: str
    region: str
    image_bucket: str
    work_bucket: str
    table: str
    state_machine_arn: str
    http_url: str = ""

    def variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What is to be set in `environ`, for AWS's SDKs and tools to find it and nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            **NO_FILES,
            **past_the_proxy(environ),
            "STEPVEC_IMAGE_BUCKET": self.image_bucket,
            "STEPVEC_WORK_BUCKET": self.work_bucket,
            "STEPVEC_TABLE": self.table,
            "STEPVEC_STATE_MACHINE_ARN": self.state_machine_arn,
            **({"STEPVEC_HTTP_URL": self.http_url} if self.http_url else {}),
        }

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` with it for its AWS: without any other setting of AWS's SDKs."""
        kept = {name: value for name, value in environ.items() if not is_sdk_setting(name)}
        return {**kept, **self.variables(environ)}


class Registration:
    """The name of a local AWS, held while it lives. Others find it from `publish` to `close`."""

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        """Raises InvalidInputError for a name that cannot be one, ConfigurationError where it is taken."""
        self.name = check_name(name)
        folder = _writable_folder(environ)
        self._state, self._lock_file = folder / f"{name}.json", folder / f"{name}.lock"
        end = time.monotonic() + _LOOKING_SECONDS
        while (lock := lock_file(self._lock_file, wait=False)) is None:
            if time.monotonic() > end:
                raise taken(name, _read(self._state))
            time.sleep(0.02)
        self._lock: int | None = lock

    def publish(self, local: LocalAws) -> None:
        """Let others find it."""
        written = self._state.with_suffix(".new")
        written.unlink(missing_ok=True)
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(codec.to_json(local).encode())
        written.replace(self._state)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nobody finds it any more, and its name is free."""
        if self._lock is not None:
            _forget(self._state, self._lock_file)
            os.close(self._lock)
            self._lock = None


def check_name(name: str) -> str:
    """The name as it is. Raises InvalidInputError where it cannot be one of a local AWS."""
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"{name!r} cannot be the name of a local AWS.",
            remedy="Use up to 40 letters, digits, dots, hyphens and underscores, a letter or digit first.",
        )
    return name


def all_up(environ: Mapping[str, str]) -> list[LocalAws]:
    """Those that are up, by name. Files of those that are gone are removed."""
    found: dict[str, LocalAws] = {}
    for folder in _folders(environ):
        if not _is_ours(folder):
            continue
        # One that was killed while it started has left a lock alone.
        for state in sorted({path.with_suffix(".json") for path in folder.glob("*.*") if path.suffix in _SUFFIXES}):
            if (local := _up(state)) is not None:
                found.setdefault(local.name, local)
    return [found[name] for name in sorted(found)]


def find_local(name: str | None, environ: Mapping[str, str]) -> LocalAws:
    """The one that is up: the only one, or the one of that name. Raises ConfigurationError where there is none."""
    up = all_up(environ)
    names = ", ".join(local.name for local in up)
    if name is not None:
        for local in up:
            if local.name == name:
                return local
        raise ConfigurationError(
            f"No local AWS named {name!r} is up.",
            remedy=f"Up: {names}." if up else f"Start it with `stepvec local up --detach --name {name}`.",
        )
    if not up:
        raise ConfigurationError("No local AWS is up.", remedy="Start one with `stepvec local up --detach`.")
    if len(up) > 1:
        raise ConfigurationError(f"Several local AWS are up: {names}.", remedy="Say which with --name.")
    return up[0]


def taken(name: str, local: LocalAws | None) -> ConfigurationError:
    """The error of a name that another one has."""
    where = f": {local.endpoint_url}, process {local.pid}" if local else ", or is starting"
    return ConfigurationError(
        f"A local AWS named {name!r} is up already{where}.",
        remedy=f"End it with `stepvec local down --name {name}`, or give this one another --name.",
    )


def _up(state: Path) -> LocalAws | None:
    lock_path = state.with_suffix(".lock")
    try:
        lock = lock_file(lock_path, wait=False, shared=True)
        if lock is None:
            return _read(state)
        try:
            _forget(state, lock_path)
        finally:
            os.close(lock)
    except OSError:
        pass  # of a folder that cannot be written to: a state that nobody holds is not up
    return None


def _read(state: Path) -> LocalAws | None:
    try:
        return codec.from_json(LocalAws, state.read_bytes(), where=str(state))
    except (OSError, RecordError):
        # Not written yet, or gone by now; or of another version of Stepvec.
        return None


def _forget(state: Path, lock: Path) -> None:
    for path in (state, state.with_suffix(".new"), log_file(state), lock):
        path.unlink(missing_ok=True)


def log_file(state: Path) -> Path:
    """What a local AWS in the background has written, beside its state."""
    return state.with_suffix(".log")


def log_of(name: str, environ: Mapping[str, str]) -> Path:
    """Where a local AWS of this name that is to run in the background writes to. Raises ConfigurationError."""
    return log_file(_writable_folder(environ) / f"{check_name(name)}.json")


def _folders(environ: Mapping[str, str]) -> list[Path]:
    """Where states may be, the best first: another shell of the same user may have other variables set.

    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    if given := environ.get(STATE_VARIABLE):
        return [Path(given)]
    folders = []
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    if Path(runtime).is_dir():
        folders.append(Path(runtime) / "stepvec")
    kept = environ.get("XDG_STATE_HOME")
    with suppress(RuntimeError):  # no home at all
        folders.append((Path(kept) if kept else Path.home() / ".local" / "state") / "stepvec")
    # A home may be read-only.
    folders.append(Path(tempfile.gettempdir()) / f"stepvec-state-{os.getuid()}")
    return folders


def _writable_folder(environ: Mapping[str, str]) -> Path:
    folders = _folders(environ)
    for folder in folders:
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _is_ours(folder) and os.access(folder, os.W_OK | os.X_OK):
                return folder
    raise ConfigurationError(
        f"No folder for a local AWS's state: none of {', '.join(map(str, folders))} is yours alone.",
        remedy=f"Set {STATE_VARIABLE} to a folder that only you can write to.",
    )


def _is_ours(folder: Path) -> bool:
    """Whether it is a folder that nobody else can write to: what is in it is believed."""
    try:
        state = folder.stat(follow_symlinks=True)
    except OSError:
        return False
    return state.st_uid == os.getuid() and not state.st_mode & 0o022 and folder.is_dir()
