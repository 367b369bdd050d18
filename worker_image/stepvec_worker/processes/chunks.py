"""A chunk of images in an embedding process, and their outcomes, as they come from several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stepvec.runs.listing import ShardImage
from stepvec.runs.outcome import ImageFailure


class ChunkAccount:
    """Counts the outcomes of `images` images; `on_settled` is told once, when each has its own."""

    def __init__(self, images: int, on_settled: Callable[[ChunkAccount], None]) -> None:
        self.embedded = 0
        self.unchanged = 0
        self.failures: list[ImageFailure] = []
        self._open = images
        self._on_settled = on_settled
        self._lock = threading.Lock()

    def settle_embedded(self) -> None:
        """An image's row is stored by this run."""
        with self._lock:
            self.embedded += 1
        self._settle()

    def settle_unchanged(self) -> None:
        """An image's row was stored by another run."""
        with self._lock:
            self.unchanged += 1
        self._settle()

    def settle_failed(self, failure: ImageFailure) -> None:
        """An image has no row, and this is why."""
        with self._lock:
            self.failures.append(failure)
        self._settle()

    def settle_row(self, refused: ImageFailure | None) -> None:
        """An image's row was written, or refused."""
        if refused is None:
            self.settle_embedded()
        else:
            self.settle_failed(refused)

    def _settle(self) -> None:
        with self._lock:
            self._open -= 1
            is_last = self._open == 0
        if is_last:
            self._on_settled(self)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Images to be done, with their lines in the shard, and the account that their outcomes go to."""

    number: int
    images: Sequence[tuple[int, ShardImage]]
    account: ChunkAccount
