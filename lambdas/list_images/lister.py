"""The listing loop: pages of a source become listing files, until all is listed or time is short."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from lambdas.list_images.sources import ADD_SUFFIXES, ImageSource, SourcePage
from stepvec.errors import InvalidInputError
from stepvec.runs.images import ONLY_IMAGES, SuffixRule
from stepvec.runs.layout import RunLayout, S3Uri
from stepvec.runs.listing import LISTING_FILE_LINES, ListedImage, dump_listing
from stepvec.runs.steps import ListingCounts, ListingCursor, ListingState, summary_of_ignored

STOP_BEFORE_MILLISECONDS: Final = 60_000
"""An invocation stops when less than this is left of the function's time: enough to write the last listing file."""


class FileWriter(Protocol):
    """What the lister needs of the object store."""

    def write(self, uri: S3Uri, body: bytes, *, content_type: str = ...) -> None:
        """As ObjectStore.write."""
        ...


def list_images(
    state: ListingState,
    source: ImageSource,
    writer: FileWriter,
    layout: RunLayout,
    *,
    suffixes: SuffixRule = ONLY_IMAGES,
    time_is_short: Callable[[], bool],
    lines_per_file: int = LISTING_FILE_LINES,
) -> ListingState:
    """List from `state.cursor` on, until done or `time_is_short()`, and return the state to go on from.

    Files are named by the cursor, so a repeated invocation writes the same files again.
    """
    cursor, counts, buffer = state.cursor, state.counts, list[ListedImage]()
    done = True
    for page in source.pages(cursor):
        cursor = replace(page.cursor, files=cursor.files)
        counts = _take(page, buffer, counts, suffixes)
        if len(buffer) >= lines_per_file:
            cursor = _write(buffer, writer, layout, cursor)
        if time_is_short():
            done = False
            break
    cursor = _write(buffer, writer, layout, cursor)
    if done and not counts.listed:
        raise InvalidInputError(
            f"There is nothing to embed: all {counts.ignored} keys are of other kinds "
            f"({summary_of_ignored(counts.ignored_by_suffix)}).",
            remedy=f"If they are images, {ADD_SUFFIXES}.",
        )
    return replace(state, cursor=cursor, counts=counts, done=done)


def _take(page: SourcePage, buffer: list[ListedImage], counts: ListingCounts, suffixes: SuffixRule) -> ListingCounts:
    """Add the images of `page` to `buffer`, and return `counts` with theirs and those of the others."""
    before = len(buffer)
    ignored: Counter[str] = Counter()
    if page.named:
        buffer += page.objects
    else:
        for entry in page.objects:
            kind = suffixes.ignored_as(entry.key, entry.size)
            if kind:
                ignored[kind] += 1
            else:
                buffer.append(entry)
    size = sum(buffer[position].size for position in range(before, len(buffer)))
    return counts.add(listed=len(buffer) - before, size=size, ignored=ignored)


def _write(buffer: list[ListedImage], writer: FileWriter, layout: RunLayout, cursor: ListingCursor) -> ListingCursor:
    if not buffer:
        return cursor
    writer.write(layout.listing(cursor.files), dump_listing(buffer), content_type="application/gzip")
    buffer.clear()
    return replace(cursor, files=cursor.files + 1)
