"""The index of S3 Vectors against the table: rows that it lacks, vectors without a row, and what becomes of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from stepvec.adapters.vector_index import VectorIndex
from stepvec.adapters.vector_table import VectorTable
from stepvec.audit.compare import Finding, FindingKind
from stepvec.client.deployment import Deployment
from stepvec.client.scope import Scope
from stepvec.limits import VECTORS_PER_GET, VECTORS_PER_PUT
from stepvec.pacing import batches
from stepvec.rows.indexed import IndexedVector, lacking
from stepvec.rows.item import RowMetadata, metadata_of
from stepvec.rows.vectors import vector_to_index


class IndexAudit:
    """Compares the index of a deployment with its table, some at a time: memory does not grow with either.

    A difference is looked at a second time, the row first, so that what a run writes meanwhile is rarely one.
    """

    def __init__(self, deployment: Deployment, on_finding: Callable[[Finding], None]) -> None:
        self._model = deployment.model
        self._on_finding = on_finding
        self._table = VectorTable(deployment.client("dynamodb"), deployment.table)
        self._index = VectorIndex(deployment.client("s3vectors"), deployment.vector_index)
        self.vectors = 0
        """Vectors of the index that were looked at."""

    @property
    def read_units(self) -> float:
        """What DynamoDB said it charged for rows that were read again by their keys."""
        return self._table.read_units

    def watch(self, rows: Iterable[RowMetadata]) -> Iterator[RowMetadata]:
        """The rows as they come, those of the deployment's model looked up in the index on the way."""
        for batch in batches(rows, VECTORS_PER_GET):
            self._check_rows([row for row in batch if row.model == self._model])
            yield from batch

    def check_vectors(self, scope: Scope) -> None:
        """Look for the row of each vector whose key is in `scope`."""
        for page in self._index.listed():
            entries = [entry for entry in page if scope.holds(entry.key)]
            self.vectors += len(entries)
            for some in batches(entries, VECTORS_PER_GET):
                without = self._without_row(self._without_row(some))
                for entry in without:
                    message = "The index has a vector of this image id, and the table no row."
                    self._on_finding(Finding(FindingKind.VECTOR_WITHOUT_ROW, entry.key, entry.image_id, message))

    def _without_row(self, entries: Sequence[IndexedVector]) -> list[IndexedVector]:
        known: dict[str, RowMetadata] = {}
        for batch in self._table.metadata((entry.image_id for entry in entries), consistent=True):
            known.update(batch)
        return [entry for entry in entries if entry.image_id not in known]

    def _check_rows(self, rows: Sequence[RowMetadata]) -> None:
        if not (differing := self._differing(rows)):
            return
        again = {item.image_id: item for item in self._table.items(row.image_id for row in differing)}
        # A vector of zeros is in no index.
        there = [metadata_of(item) for item in again.values() if not item.is_zero]
        for row in self._differing([row for row in there if row.model == self._model]):
            message = "The index lacks its vector, or has that of an earlier row."
            self._on_finding(Finding(FindingKind.NOT_INDEXED, row.key, row.image_id, message))

    def _differing(self, rows: Sequence[RowMetadata]) -> list[RowMetadata]:
        by_id = {row.image_id: row for row in rows}
        return [by_id[image_id] for image_id in lacking(self._index, by_id)]


def delete_vectors(deployment: Deployment, image_ids: Sequence[str]) -> None:
    """Delete the vectors of images that have no row any more.

    Of a row that was made anew in between, whose vector may have been put before it was deleted here, it is put again.
    """
    table = VectorTable(deployment.client("dynamodb"), deployment.table)
    index = VectorIndex(deployment.client("s3vectors"), deployment.vector_index)
    index.delete(image_ids)
    made_anew = (item for item in table.items(image_ids) if item.model == deployment.model and not item.is_zero)
    for items in batches(made_anew, VECTORS_PER_PUT):
        index.put(list(map(vector_to_index, items)))
