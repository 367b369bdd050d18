"""A model directory that is not the one that was deployed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from resilience.faults.calls import Call
from resilience.faults.injector import Done
from resilience.faults.proxy import Exchange
from stepvec import codec
from stepvec.rows.model import MODEL_FILE, WEIGHTS_FILE
from stepvec.weights.model_directory import read_model_card
from stepvec.weights.params_file import read_params, write_params


class ModelDirectory:
    """The model in the job's image. `restore` puts back what was there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = {name: (folder / name).read_bytes() for name in (WEIGHTS_FILE, MODEL_FILE)}

    def corrupt(self) -> None:
        """One bit in the middle of the weights is another."""
        data = bytearray(self._files[WEIGHTS_FILE])
        data[len(data) // 2] ^= 1
        self._write(WEIGHTS_FILE, bytes(data))

    def replace_by_another(self) -> None:
        """A whole model of the same architecture, with another first weight and a card of its own."""
        arrays = {
            name: array.copy() for name, array in read_params(self._files[WEIGHTS_FILE], where=WEIGHTS_FILE).items()
        }
        next(iter(arrays.values())).flat[0] += 1
        data = write_params(arrays)
        card = replace(read_model_card(self._folder), weights_sha256=hashlib.sha256(data).hexdigest())
        self._write(WEIGHTS_FILE, data)
        self._write(MODEL_FILE, (codec.to_json(card) + "\n").encode())

    def restore(self) -> None:
        """The model that was deployed."""
        for name, data in self._files.items():
            self._write(name, data)

    def _write(self, name: str, data: bytes) -> None:
        # Another file in its place: a worker that reads the old one goes on reading it.
        temporary = self._folder / f".{name}"
        temporary.write_bytes(data)
        temporary.replace(self._folder / name)


class BrokenModel:
    """`corrupt` happens to the model after `intact` jobs have begun; each job that begins later is counted."""

    def __init__(self, kind: str, corrupt: Callable[[], None], *, intact: int) -> None:
        self.kind = kind
        self._corrupt = corrupt
        self._lock = threading.Lock()
        self._intact = intact
        self.is_corrupted = False

    def applies(self, call: Call) -> bool:
        """A job reads its shard's file, which it does before it loads the model."""
        return call.is_from_worker and call.operation == "GetObject" and "/shards/" in call.key

    def inject(self, exchange: Exchange, draw: float, done: Done) -> None:  # noqa: ARG002 - as every fault
        """Corrupt the model when it is time."""
        with self._lock:
            self._intact -= 1
            if self._intact < 0:
                if not self.is_corrupted:
                    self._corrupt()
                    self.is_corrupted = True
                done()
        exchange.answer(exchange.forward())
