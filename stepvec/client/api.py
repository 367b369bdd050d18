"""`Stepvec`: a deployed pipeline in Python, as its users see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stepvec.client.deployment import Deployment, find_deployment
from stepvec.client.rows import read_rows
from stepvec.client.runs import Run, RunEnd, RunProgress
from stepvec.client.scope import EVERYTHING, scope_of
from stepvec.client.session import translate_aws_errors
from stepvec.errors import InvalidInputError
from stepvec.rows.vectors import decode_vector
from stepvec.runs.images import ImageIdScheme
from stepvec.runs.reports import RunReport
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK

if TYPE_CHECKING:
    import pyarrow as pa

    from stepvec.client.vectors import Vectors


class Stepvec:
    """The pipeline deployed in the account and region of the environment, or the one of `stepvec local up`.

    >>> from stepvec import Stepvec
    >>> pipeline = Stepvec()
    >>> run = pipeline.run("photos")
    >>> pipeline.wait(run).status
    'SUCCEEDED'
    >>> pipeline.report(run).embedded
    3
    >>> pipeline.vector("photos/0.jpg").dtype
    dtype('float32')

    Every method raises StepvecError, whose `remedy` says what to do, for what AWS refuses.
    """

    def __init__(self, *, data_stack: str = DATA_STACK, pipeline_stack: str = PIPELINE_STACK) -> None:
        """Raises ConfigurationError where there are no credentials, no region, or no such stacks."""
        self._deployment = find_deployment(data_stack, pipeline_stack)

    @property
    def deployment(self) -> Deployment:
        """Where its parts are: `table`, `image_bucket`, `work_bucket`, `state_machine_arn`."""
        return self._deployment

    @property
    def model(self) -> str:
        """The name of the model that the pipeline embeds with: the `Model` of the rows that it writes."""
        return self._deployment.model

    def run(
        self,
        paths: str | Sequence[str] = (),
        *,
        manifest: str | None = None,
        name: str | None = None,
        image_id: ImageIdScheme = "key",
        shard_size: int | None = None,
        suffixes: Sequence[str] = (),
        retry_failures: bool = False,
        reembed: bool = False,
        max_failures: int = 0,
    ) -> str:
        """Start a run over the prefixes `paths`, or over the keys that `manifest` (an S3 URI) lists; gives its name.

        The options are the fields of an execution's input (docs/architecture.md). Raises InvalidInputError where both
        paths and manifest or neither are given, and where there is a run of that name already.

        >>> Stepvec().run(["photos", "more-photos"], name="my-second-run", max_failures=10)
        'my-second-run'
        """
        prefixes = [paths] if isinstance(paths, str) else list(paths)
        if bool(prefixes) == bool(manifest):
            raise InvalidInputError(
                "A run needs paths or a manifest, and not both.", remedy='For example: run("images").'
            )
        options: dict[str, Any] = {"ImageId": image_id, "MaxFailures": max_failures, "Reembed": reembed}
        if suffixes:
            options["Suffixes"] = list(suffixes)
        if retry_failures:
            options["RetryFailures"] = True
        if shard_size is not None:
            options["ShardSize"] = shard_size
        run = Run(self._deployment, name or f"run-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}")
        run_input = {"Manifest": manifest, **options} if manifest else {"Paths": prefixes, **options}
        run.check_input(run_input)
        with translate_aws_errors():
            run.start(run_input)
        return run.name

    def wait(self, run: str, on_progress: Callable[[RunProgress], None] = lambda _: None) -> RunEnd:
        """Wait until the run has ended, and say how: `status` is SUCCEEDED, FAILED, TIMED_OUT or ABORTED.

        >>> end = Stepvec().wait("my-second-run", on_progress=lambda progress: None)
        >>> end.status, end.error
        ('SUCCEEDED', '')
        """
        with translate_aws_errors():
            return Run(self._deployment, run).wait(on_progress)

    def report(self, run: str) -> RunReport:
        """The run's report. Raises InvalidInputError while the run is going, and where it ended without a report.

        >>> report = Stepvec().report("my-second-run")
        >>> report.listed == report.embedded + report.unchanged + report.failed + report.missing
        True
        """
        with translate_aws_errors():
            return Run(self._deployment, run).report()

    def vector(self, image_id: str) -> npt.NDArray[np.float32]:
        """The vector of one image, by its row's id: the S3 key, unless the run's ImageId was "stem".

        Raises InvalidInputError where there is no such row.

        >>> Stepvec().vector("photos/1.jpg").shape
        (1280,)
        """
        with translate_aws_errors():
            row = next(read_rows(self._deployment, [image_id]), None)
        if row is None:
            raise InvalidInputError(
                f"The table has no row {image_id!r}.", remedy="Embed the image, or see the failures of its run."
            )
        return decode_vector(row)

    def vectors(
        self, prefix: str = "", *, model: str | None = None, segments: int | None = None, after: str = ""
    ) -> Vectors:
        """Batches of some 1,000 rows of `model` (the deployed one by default), of keys under `prefix`, in no order.

        Reads the whole table once, whatever the prefix, `segments` (8) parts of it at a time; memory is that of some
        pages. `after` is the `token` of an iterator that was stopped. Raises InvalidInputError for a token of another
        table, prefix, model or number of segments.

        >>> batches = Stepvec().vectors("photos")
        >>> for ids, keys, vectors in batches:
        ...     print(sorted(keys), vectors.shape)
        ['photos/0.jpg', 'photos/1.jpg', 'photos/2.jpg'] (3, 1280)
        >>> list(Stepvec().vectors("photos", after=batches.token))
        []
        """
        # pyarrow takes most of a second, which starting a run need not wait for.
        from stepvec.client.vectors import Vectors
        from stepvec.export.selection import Selection

        with translate_aws_errors():
            scope = scope_of(self._deployment, [prefix]) if prefix else EVERYTHING
            selection = Selection(
                model or self.model,
                is_named=True,
                prefixes=scope.filtered_prefixes,
                keys=scope.keys,
            )
            return Vectors(self._deployment, selection, segments=segments, after=after)

    def to_arrow(self, prefix: str = "", *, model: str | None = None) -> pa.Table:
        """The rows that `vectors` gives, all at once in memory, with all columns of an export (docs/export.md).

        >>> Stepvec().to_arrow("photos").num_rows
        3
        """
        return self.vectors(prefix, model=model).to_arrow()

    def to_pandas(self, prefix: str = "", *, model: str | None = None) -> Any:
        """As to_arrow, but as a pandas DataFrame. Raises ConfigurationError where pandas is not installed."""
        return self.vectors(prefix, model=model).to_pandas()
