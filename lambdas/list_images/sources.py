"""Where the images' keys come from: prefixes of the bucket, or a manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from stepvec.adapters.object_store import ObjectPage
from stepvec.errors import InvalidInputError
from stepvec.runs.images import IMAGE_SUFFIXES, ONLY_IMAGES, SuffixRule
from stepvec.runs.listing import ListedImage
from stepvec.runs.run_input import WHOLE_BUCKET
from stepvec.runs.steps import ListingCursor, summary_of_ignored

ADD_SUFFIXES = 'say what else is an image with Suffixes, such as ["raw"], "(none)" or "*" for all keys'


@dataclass(frozen=True, slots=True)
class SourcePage:
    """Some objects, images and others, and the cursor behind them.

    `named`: the user named each of them, so each is tried whatever its suffix.
    """

    objects: tuple[ListedImage, ...]
    cursor: ListingCursor
    named: bool = False


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

    def look_up(self, bucket: str, key: str) -> ListedImage:
        """As ObjectStore.look_up."""
        ...


class PrefixSource:
    """The objects under some prefixes of the image bucket, none of which lies within another.

    One of `objects` under which nothing lies is taken, without its "/", for the key of one object.
    """

    def __init__(
        self,
        store: PageLister,
        bucket: str,
        prefixes: tuple[str, ...],
        *,
        objects: frozenset[str] = frozenset(),
        suffixes: SuffixRule = ONLY_IMAGES,
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._prefixes = prefixes
        self._objects = objects
        self._suffixes = suffixes

    def pages(self, cursor: ListingCursor) -> Iterator[SourcePage]:
        """As ImageSource.pages. Raises InvalidInputError for a prefix without a single image: a slip in its name."""
        while cursor.source < len(self._prefixes):
            prefix = self._prefixes[cursor.source]
            page = self._store.list_page(self._bucket, prefix, cursor.after)
            found = cursor.found or int(any(not self._ignored_as(entry) for entry in page.objects))
            behind = replace(cursor, source=cursor.source + 1, after="", found=0)
            if not page.is_last:
                cursor = replace(cursor, after=page.objects[-1].key, found=found)
                yield SourcePage(page.objects, cursor)
            elif found:
                cursor = behind
                yield SourcePage(page.objects, cursor)
            elif not page.objects and not cursor.after and prefix in self._objects:
                cursor = behind
                yield SourcePage((self._one_object(prefix),), cursor, named=True)
            else:
                raise self._nothing_under(prefix, page)

    def _ignored_as(self, entry: ListedImage) -> str:
        return self._suffixes.ignored_as(entry.key, entry.size)

    def _one_object(self, prefix: str) -> ListedImage:
        found = self._store.look_up(self._bucket, prefix.removesuffix("/"))
        if not found.etag and found.refused is None:
            raise self._nothing_under(prefix, ObjectPage((), is_last=True))
        return found

    def _nothing_under(self, prefix: str, page: ObjectPage) -> InvalidInputError:
        others = summary_of_ignored(Counter(self._ignored_as(entry) for entry in page.objects))
        there = f", only others ({others})" if others else ""
        other = prefix.lstrip("/")
        slip = f"{other!r} is another prefix. " if prefix.startswith("/") and other else ""
        return InvalidInputError(
            f"Paths: no image under {prefix or WHOLE_BUCKET!r} in s3://{self._bucket}{there}.",
            remedy=f"{slip}Check the prefix, or {ADD_SUFFIXES}. Images end in {', '.join(sorted(IMAGE_SUFFIXES))}, "
            "in any case.",
        )
