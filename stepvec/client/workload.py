"""Counting what a run would embed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from stepvec.adapters.object_store import ObjectStore
from stepvec.estimate.plan import Workload
from stepvec.runs.images import is_image


def count_images(
    store: ObjectStore, bucket: str, prefixes: Iterable[str], on_progress: Callable[[int], None] = lambda _: None
) -> Workload:
    """The images under `prefixes` of `bucket`, none of which lies within another: a LIST for each 1,000 objects."""
    key_bytes: Counter[int] = Counter()
    size = 0
    for prefix in prefixes:
        for page in store.list_pages(bucket, prefix):
            images = [entry for entry in page.objects if is_image(entry.key)]
            size += sum(entry.size for entry in images)
            key_bytes.update(len(entry.key.encode("utf-8", "surrogatepass")) for entry in images)
            on_progress(key_bytes.total())
    return Workload(bytes=size, key_bytes=dict(key_bytes))
