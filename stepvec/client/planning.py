"""What a plan needs to know: how many images there are, and which model would embed them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from typing import Final

from stepvec.adapters.object_store import ObjectStore
from stepvec.estimate.plan import Workload
from stepvec.rows.model import (
    CALIBRATION_HASH_CHARACTERS,
    PREPROCESSINGS,
    WEIGHTS_HASH_CHARACTERS,
    Architecture,
    Engine,
    ModelIdentity,
    Precision,
    check_engine,
    check_own_engine,
)
from stepvec.runs.images import ONLY_IMAGES, SuffixRule
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
    suffixes: SuffixRule = ONLY_IMAGES,
) -> Workload:
    """The images under `prefixes` of `bucket`, none of which lies within another: a LIST for each 1,000 objects.

    What `suffixes` do not take is counted in `ignored`, by suffix. One of `objects`, under which nothing lies, may be
    the key of one object, whatever its suffix, as in a run.
    """
    key_bytes: Counter[int] = Counter()
    size = 0
    left_out: Counter[str] = Counter() if ignored is None else ignored
    for prefix in prefixes:
        for images in _images(store, bucket, prefix, suffixes, left_out, may_be_object=prefix in objects):
            size += sum(entry.size for entry in images)
            key_bytes.update(len(entry.key.encode("utf-8", "surrogatepass")) for entry in images)
            on_progress(key_bytes.total())
    return Workload(bytes=size, key_bytes=dict(key_bytes))


def _images(
    store: ObjectStore, bucket: str, prefix: str, suffixes: SuffixRule, ignored: Counter[str], *, may_be_object: bool
) -> Iterator[list[ListedImage]]:
    found = False
    for page in store.list_pages(bucket, prefix):
        found = found or bool(page.objects)
        kinds = [suffixes.ignored_as(entry.key, entry.size) for entry in page.objects]
        ignored.update(filter(None, kinds))
        yield [entry for entry, kind in zip(page.objects, kinds, strict=True) if not kind]
    if may_be_object and not found and (entry := store.head(bucket, prefix.removesuffix("/"))) is not None:
        yield [entry]


def planned_model(
    name: str, *, architecture: Architecture | None, engine: Engine | None, precision: Precision | None
) -> ModelIdentity:
    """The model `name` with what is given in its place. An engine alone keeps the precision, and the other way.

    Raises ConfigurationError where both do not go together.
    """
    deployed = ModelIdentity.parse(name)
    if deployed.is_own and architecture is not None:
        deployed = ModelIdentity(architecture, UNKNOWN_HASH, PREPROCESSINGS[0])
    if deployed.is_own:
        own_engine, own_precision = check_own_engine(
            deployed.architecture, engine or deployed.engine, precision or deployed.precision
        )
        if own_precision == deployed.precision:
            return deployed
        return replace(deployed, engine=own_engine, precision=own_precision, calibration=_calibration(own_precision))
    network = architecture or deployed.architecture
    new_engine, new_precision = check_engine(engine or deployed.engine, precision or deployed.precision)
    return replace(
        deployed,
        architecture=network,
        weights=deployed.weights if network == deployed.architecture else UNKNOWN_HASH,
        engine=new_engine,
        precision=new_precision,
        calibration=_calibration(new_precision),
    )


def _calibration(precision: Precision) -> str:
    # It belongs to the name, and so to each row's size.
    return "0" * CALIBRATION_HASH_CHARACTERS if precision == "int8" else ""
