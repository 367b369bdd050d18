"""Where the images' keys come from: prefixes of the bucket, or a manifest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from stepvec.adapters.object_store import ObjectPage
from stepvec.errors import InvalidInputError
from stepvec.runs.images import IMAGE_SUFFIXES, is_image
from stepvec.runs.listing import ListedImage
from stepvec.runs.run_input import WHOLE_BUCKET
from stepvec.runs.steps import ListingCursor


@dataclass(frozen=True, slots=True)
class SourcePage:
    """Some objects, images and others, and the cursor behind them."""

    objects: tuple[ListedImage, ...]
    cursor: ListingCursor


class ImageSource(Protocol):
    """A source of objects that can resume from any cursor it returned."""

    def pages(self, cursor: ListingCursor) -> Iterator[SourcePage]:
        """The pages behind `cursor`. Raises InvalidInputError where the source cannot be what the user meant."""
        ...


class PageLister(Protocol):
    """What PrefixSource needs of the object store."""

    def list_page(self, bucket: str, prefix: str, after: str) -> ObjectPage:
        """As ObjectStore.list_page."""
        ...


class PrefixSource:
    """The objects under some prefixes of the image bucket, none of which lies within another."""

    def __init__(self, store: PageLister, bucket: str, prefixes: tuple[str, ...]) -> None:
        self._store = store
        self._bucket = bucket
        self._prefixes = prefixes

    def pages(self, cursor: ListingCursor) -> Iterator[SourcePage]:
        """As ImageSource.pages. Raises InvalidInputError for a prefix without a single image: a slip in its name."""
        while cursor.source < len(self._prefixes):
            prefix = self._prefixes[cursor.source]
            page = self._store.list_page(self._bucket, prefix, cursor.after)
            found = cursor.found or next((1 for entry in page.objects if is_image(entry.key)), 0)
            if not page.is_last:
                cursor = replace(cursor, after=page.objects[-1].key, found=found)
            elif found:
                cursor = replace(cursor, source=cursor.source + 1, after="", found=0)
            else:
                raise InvalidInputError(
                    f"Paths: no image under {prefix or WHOLE_BUCKET!r} in s3://{self._bucket}.",
                    remedy=f"Check the prefix. Images end in {', '.join(sorted(IMAGE_SUFFIXES))}, in any case.",
                )
            yield SourcePage(page.objects, cursor)
