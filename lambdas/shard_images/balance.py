"""Cutting images into shards of about the same count and the same bytes."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from stepvec.runs.listing import ShardImage


def shard_count(images: Sequence[ShardImage], *, max_images: int, max_bytes: int) -> int:
    """Shards that `images` need so that none has over `max_images` images, nor, balanced, over `max_bytes` bytes."""
    by_count = -(-len(images) // max_images)
    by_bytes = -(-sum(image.size for image in images) // max_bytes)
    return min(max(by_count, by_bytes), len(images))


def balance(images: Sequence[ShardImage], shards: int) -> list[list[ShardImage]]:
    """The images dealt to `shards` shards: counts differ by one at the most, bytes as little as dealing allows.

    The largest image first, each to the lightest shard that still has room (longest processing time first, within
    4/3 of the best). Within a shard the images stay in their order.
    """
    room, extra = divmod(len(images), shards)
    capacity = [room + (number < extra) for number in range(shards)]
    lightest = [(0, number) for number in range(shards)]
    dealt: list[list[int]] = [[] for _ in range(shards)]
    for position in sorted(range(len(images)), key=lambda position: (-images[position].size, position)):
        weight, number = heapq.heappop(lightest)
        dealt[number].append(position)
        if len(dealt[number]) < capacity[number]:
            heapq.heappush(lightest, (weight + images[position].size, number))
    return [[images[position] for position in sorted(positions)] for positions in dealt]
