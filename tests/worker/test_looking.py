"""Which chunks a worker looks up: no table is needed for it."""

from __future__ import annotations

from collections.abc import Collection

from stepvec_worker.processes.looking import Looking
from stepvec_worker.processes.shard_context import Chunk, ChunkTally

from stepvec.runs.listing import CHUNKS_A_LOOK


def chunk(number: int, *, was_leased: bool = False) -> Chunk:
    return Chunk(number, [], ChunkTally(0, lambda tally: None), was_leased)


def looked_at(chunks: int, *, stored: Collection[int] = (), looking: Looking | None = None) -> list[int]:
    """The numbers of the chunks that are looked up where those in `stored` hold a stored row."""
    looking = looking or Looking(everywhere=False)
    seen = []
    for number in range(chunks):
        if looking.is_due(chunk(number)):
            seen.append(number)
            looking.saw(chunk(number), stored=int(number in stored))
    return seen


def test_the_first_of_twenty_is_looked_up_while_none_is_stored() -> None:
    assert looked_at(5 * CHUNKS_A_LOOK) == [number * CHUNKS_A_LOOK for number in range(5)]
    assert looked_at(3) == [0]


def test_where_a_row_is_stored_the_next_chunk_is_looked_up_until_one_has_none() -> None:
    first = CHUNKS_A_LOOK
    stored = range(first, first + 3)
    found = looked_at(3 * CHUNKS_A_LOOK, stored=stored)
    assert found == [0, first, first + 1, first + 2, first + 3, first + 3 + CHUNKS_A_LOOK]
    assert looked_at(50, stored=range(50)) == list(range(50))


def test_what_was_leased_before_is_always_looked_up_and_changes_nothing_for_the_others() -> None:
    looking = Looking(everywhere=False)
    assert looked_at(1, looking=looking) == [0]
    for number in range(3):
        assert looking.is_due(chunk(number, was_leased=True))
        looking.saw(chunk(number, was_leased=True), stored=1)
    assert looked_at(2 * CHUNKS_A_LOOK, looking=looking) == [CHUNKS_A_LOOK - 1, 2 * CHUNKS_A_LOOK - 1]


def test_with_an_index_each_chunk_is_looked_up() -> None:
    assert looked_at(50, looking=Looking(everywhere=True)) == list(range(50))
