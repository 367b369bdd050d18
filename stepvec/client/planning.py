"""What a plan needs to know: how many images there are, and which model would embed them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from stepvec.adapters.object_store import ObjectStore
from stepvec.estimate.plan import Workload
from stepvec.rows.model import (
    CALIBRATION_HASH_CHARACTERS,
    WEIGHTS_HASH_CHARACTERS,
    Architecture,
    Engine,
    ModelIdentity,
    Precision,
)
from stepvec.runs.images import ONLY_IMAGES, is_image
from stepvec.runs.listing import ListedImage

UNKNOWN_HASH: Final = "0" * WEIGHTS_HASH_CHARACTERS
"""In the place of the weights' hash, where nobody knows it yet."""


def count_images(
    store: ObjectStore,
    bucket: str,
    prefixes: Iterable[str],
    on_progress: Callable[[int], None] = lambda _: None,
    ignored: Counter[str] | None = None,
    objects: Collection[str] = (),
) -> Workload:
    """The images under `prefixes` of `bucket`, none of which lies within another: a LIST for each 1,000 objects.

    Other objects are counted in `ignored`, by suffix. One of `objects`, under which nothing lies, may be the key of one
    object, as in a run.
    """
    key_bytes: Counter[int] = Counter()
    size = 0
    for prefix in prefixes:
        for page in _pages(store, bucket, prefix, may_be_object=prefix in objects):
            images = [entry for entry in page if is_image(entry.key)]
            if ignored is not None:
                ignored.update(
                    ONLY_IMAGES.ignored_as(entry.key, entry.size) for entry in page if not is_image(entry.key)
                )
            size += sum(entry.size for entry in images)
            key_bytes.update(len(entry.key.encode("utf-8", "surrogatepass")) for entry in images)
            on_progress(key_bytes.total())
    return Workload(bytes=size, key_bytes=dict(key_bytes))


def _pages(store: ObjectStore, bucket: str, prefix: str, *, may_be_object: bool) -> Iterator[Sequence[ListedImage]]:
    found = False
    for page in store.list_pages(bucket, prefix):
        found = found or bool(page.objects)
        yield page.objects
    if may_be_object and not found and (entry := store.head(bucket, prefix.removesuffix("/"))) is not None:
        yield [entry]


def planned_model(
    name: str, *, architecture: Architecture | None, engine: Engine | None, precision: Precision | None
) -> ModelIdentity:
    """The model `name` with what is given in its place. An engine alone keeps the precision, and the other way."""
    deployed = ModelIdentity.parse(name)
    network, new_precision = architecture or deployed.architecture, precision or deployed.precision
    return replace(
        deployed,
        architecture=network,
        weights=deployed.weights if network == deployed.architecture else UNKNOWN_HASH,
        engine=engine or deployed.engine,
        precision=new_precision,
        # It belongs to the name, and so to each row's size.
        calibration="0" * CALIBRATION_HASH_CHARACTERS if new_precision == "int8" else "",
    )
