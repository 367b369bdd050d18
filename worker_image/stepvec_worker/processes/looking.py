"""Which chunks of a shard are looked up in the table before they are embedded: docs/decisions/0138."""

from __future__ import annotations

from stepvec.runs.listing import CHUNKS_A_LOOK
from stepvec_worker.processes.shard_context import Chunk


class Looking:
    """Looks at each chunk that another attempt or process may have stored, and at some of those that none has had.

    ShardImages has left out what was stored when it looked. What other runs have stored since is seen by looking at
    the first chunk, and then at one of each CHUNKS_A_LOOK; where one holds a stored row, the next is looked at, too,
    and so on until one does not. With `everywhere` each chunk is looked at.
    """

    def __init__(self, *, everywhere: bool) -> None:
        self._everywhere = everywhere
        self._passed_over = 0
        self._to_pass_over = 0

    def is_due(self, chunk: Chunk) -> bool:
        """Whether this chunk is to be looked up; asked once for each, in their order."""
        if self._everywhere or chunk.was_leased:
            return True
        if self._passed_over < self._to_pass_over:
            self._passed_over += 1
            return False
        return True

    def saw(self, chunk: Chunk, *, stored: int) -> None:
        """So many images of a chunk that was due need not be embedded."""
        if not chunk.was_leased:
            self._passed_over = 0
            self._to_pass_over = 0 if stored else CHUNKS_A_LOOK - 1
