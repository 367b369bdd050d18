"""Which keys some paths mean, on a deployment: the same that a run over them would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stepvec.adapters.object_store import ObjectStore
from stepvec.client.deployment import Deployment
from stepvec.runs.run_input import WHOLE_BUCKET, parse_run_input


@dataclass(frozen=True, slots=True)
class Scope:
    """Keys under `prefixes` (sorted, none within another), and `keys`, each the key of one object or of none."""

    prefixes: tuple[str, ...] = ("",)
    keys: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether it is the whole bucket."""
        return self.prefixes == ("",)

    @property
    def filtered_prefixes(self) -> tuple[str, ...]:
        """The prefixes that rows are chosen by: none where it is the whole bucket."""
        return () if self.is_everything else self.prefixes

    def holds(self, key: str) -> bool:
        """Whether `key` is one of these."""
        return key.startswith(self.prefixes) or key in self.keys


EVERYTHING: Final = Scope()


def scope_of(deployment: Deployment, paths: Sequence[str]) -> Scope:
    """What `paths` mean, as the `Paths` of a run; without paths all keys. Raises InvalidInputError.

    A path under which nothing lies in the bucket may be one object, there or gone. One LIST for each path that is
    written without a "/" at its end.
    """
    wanted = parse_run_input(
        {"Paths": list(paths) or [WHOLE_BUCKET]},
        image_bucket=deployment.image_bucket,
        work_bucket=deployment.work_bucket,
        default_shard_size=1,
    )
    store = ObjectStore(deployment.client("s3"))
    alone = [prefix for prefix in wanted.objects if not store.list_page(deployment.image_bucket, prefix, "").objects]
    return Scope(wanted.prefixes, tuple(sorted(prefix.removesuffix("/") for prefix in alone)))
