"""The rows of a shard, read at half price wherever a stale answer could not change the count."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lambdas.verify_shard.verifier import Expectation, ImageOutcome, outcome
from stepvec.rows.item import MetadataTable, RowMetadata
from stepvec.runs.listing import ShardImage


def read_rows(
    table: MetadataTable, images: Sequence[ShardImage], failed_ids: Collection[str], expected: Expectation
) -> dict[str, RowMetadata]:
    """The metadata of the images' rows, by image id.

    An eventually consistent read may miss what was written a moment ago, or show what stood there before; it never
    shows a row that was not stored. So a right row counts at once, and only what would count as missing, or wrong, is
    read again, strongly consistent: of a shard that went well, nothing or next to nothing. Raises StorageError.
    """
    rows: dict[str, RowMetadata] = {}
    for batch in table.metadata((image.image_id for image in images), consistent=False):
        rows.update(batch)
    doubtful = [
        image.image_id
        for image in images
        if outcome(image, rows.get(image.image_id), failed_ids, expected) is ImageOutcome.MISSING
    ]
    for image_id in doubtful:
        rows.pop(image_id, None)
    for batch in table.metadata(doubtful, consistent=True):
        rows.update(batch)
    return rows
