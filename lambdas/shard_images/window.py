"""One window of images: ids given, duplicates dropped, conflicts refused by name; the rest cut into balanced shards."""

from __future__ import annotations

import heapq
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from stepvec.errors import InvalidInputError
from stepvec.rows.item import RowMetadata
from stepvec.runs.images import ImageIdScheme, image_id
from stepvec.runs.listing import ListedImage, ShardImage
from stepvec.runs.outcome import FailureReason, ImageFailure, Refusal

MAX_WINDOW_IMAGES: Final = 250_000
"""Most distinct keys of one window: five times a partition's average."""


@dataclass(frozen=True, slots=True)
class Identified:
    """Images with an id of their own, those refused, and how many lines named a key again.

    `unreadable` says, by their ids, which of `images` the listing found to be so.
    """

    images: list[ShardImage]
    refused: list[ImageFailure]
    duplicates: int
    unreadable: dict[str, Refusal]


def partition_of(listed: ListedImage, scheme: ImageIdScheme, partitions: int) -> int:
    """The partition of the image's id: all images of one id, and all lines of one key, fall into the same."""
    return zlib.crc32(image_id(listed.key, scheme).encode("utf-8", "surrogatepass")) % partitions


def identify(listed: Iterable[ListedImage], scheme: ImageIdScheme) -> Identified:
    """Give each distinct key its id. Where several keys share one, all of them are refused rather than one picked.

    Raises InvalidInputError for more keys than memory allows: stems shared by very many keys, never chance.
    """
    keys: dict[str, ListedImage] = {}
    duplicates = 0
    for entry in listed:
        duplicates += entry.key in keys
        keys.setdefault(entry.key, entry)
        if len(keys) > MAX_WINDOW_IMAGES:
            raise InvalidInputError(
                f"ImageId is {scheme!r}, and very many keys share an id, such as {entry.key!r}.",
                remedy='Use ImageId "key", or split the run by its Paths.',
            )
    by_id: defaultdict[str, list[ListedImage]] = defaultdict(list)
    for entry in keys.values():
        by_id[image_id(entry.key, scheme)].append(entry)
    images: list[ShardImage] = []
    refused: list[ImageFailure] = []
    unreadable: dict[str, Refusal] = {}
    for identity, entries in by_id.items():
        if len(entries) == 1:
            (entry,) = entries
            images.append(ShardImage(entry.key, entry.size, entry.etag, identity))
            if entry.refused is not None:
                unreadable[identity] = entry.refused
        else:
            refused += [_conflict(entry.key, identity, entries[entry is entries[0]].key) for entry in entries]
    return Identified(images, refused, duplicates, unreadable)


def refuse_taken_ids(
    images: Iterable[ShardImage], metadata: dict[str, RowMetadata]
) -> tuple[list[ShardImage], list[ImageFailure]]:
    """The images whose row is not another key's, and those whose row is, refused so that it is not overwritten.

    A row of the original sample names no key: it is taken over.
    """
    free: list[ShardImage] = []
    refused: list[ImageFailure] = []
    for image in images:
        row = metadata.get(image.image_id)
        if row and row.key and row.key != image.key:
            refused.append(_conflict(image.key, image.image_id, row.key))
        else:
            free.append(image)
    return free, refused


def shard_count(images: Sequence[ShardImage], *, max_images: int, max_bytes: int) -> int:
    """Shards that `images` need so that none has over `max_images` images, nor, balanced, over `max_bytes` bytes."""
    by_count = -(-len(images) // max_images)
    by_bytes = -(-sum(image.size for image in images) // max_bytes)
    return min(max(by_count, by_bytes), len(images))


def balance(images: Sequence[ShardImage], shards: int) -> list[list[ShardImage]]:
    """The images spread over `shards` shards: counts differ by at most one, bytes as little as this method allows.

    The largest image first, each to the lightest shard that still has room (longest processing time first, within
    4/3 of the best). Within a shard the images stay in their order.
    """
    room, extra = divmod(len(images), shards)
    capacity = [room + (number < extra) for number in range(shards)]
    lightest = [(0, number) for number in range(shards)]
    assigned: list[list[int]] = [[] for _ in range(shards)]
    for position in sorted(range(len(images)), key=lambda position: (-images[position].size, position)):
        weight, number = heapq.heappop(lightest)
        assigned[number].append(position)
        if len(assigned[number]) < capacity[number]:
            heapq.heappush(lightest, (weight + images[position].size, number))
    return [[images[position] for position in sorted(positions)] for positions in assigned]


def _conflict(key: str, identity: str, other: str) -> ImageFailure:
    message = f'{other!r} has the same id. Use ImageId "key", or rename one of them.'
    return ImageFailure(key, identity, FailureReason.ID_CONFLICT, message)
