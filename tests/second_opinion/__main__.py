"""`make second-opinion`: the same runs and the same stacks on ministack, and where it differs from the embedded AWS.

Ends with `C cases, S same, D explained, 0 unexplained`, and with exit code 1 if a difference has no explanation, or an
explanation no difference. docs/local.md has the explanations.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from local_pipeline.installation import synthesize
from localaws import EmbeddedCloud
from tests.localaws.conftest import HERE, LAMBDA_PYTHON, Sample
from tests.localaws.state_machine_world import Machine, machine
from tests.second_opinion import ministack
from tests.second_opinion.cases import CASES, Recording, record
from tests.second_opinion.differences import Differences, differences, explain
from tests.second_opinion.stacks import STACKS, create


def main() -> int:
    """Record, replay, compare."""
    # The handlers run in this process, and log.
    os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "CRITICAL")
    recordings, definition = _record()
    found: dict[str, Differences] = {}
    with ministack.running(recordings) as cloud, tempfile.TemporaryDirectory() as folder:
        arn = ministack.create_machine(cloud, definition, recordings)
        found["validation"] = ministack.validate(cloud, definition)
        for case, recording in recordings.items():
            run_input = {"Paths": ["images"], "ShardSize": 3, "MaxFailures": CASES[case].max_failures}
            found[case] = differences(recording, ministack.replay(cloud, arn, definition, case, run_input))
        synthesize(Path(folder))
        for stack in STACKS:
            found[stack] = create(cloud, Path(folder), stack)
    return _tell(found)


def _record() -> tuple[dict[str, Recording], dict[str, Any]]:
    with EmbeddedCloud.start(
        HERE / "assembly", lambda_python=LAMBDA_PYTHON, worker_python=Path(sys.executable), slots=3
    ) as cloud:
        sample = Sample(cloud)
        # Not a fixture here: the same generator, by hand.
        generator = machine(sample)
        made: Machine = next(generator)
        try:
            # Metrics are written to standard output.
            with redirect_stdout(io.StringIO()):
                return {name: record(made, sample, name) for name in CASES}, made.definition
        finally:
            generator.close()


def _tell(found: dict[str, Differences]) -> int:
    explained, unused = explain(found)
    unexplained = set()
    for case, aspects in found.items():
        if not aspects:
            print(f"{case}: the same")
        for aspect, (ours, theirs) in aspects.items():
            reason = explained.get((case, aspect))
            print(f"{case}: {aspect} differs: {reason or 'WITHOUT AN EXPLANATION'}")
            if not reason:
                unexplained.add(case)
                print(f"    embedded AWS: {ministack.short(str(ours))}")
                print(f"    ministack:    {ministack.short(str(theirs))}")
    for reason in unused:
        print(f"An explanation that nothing needs any more: {reason}")
    same = sum(not aspects for aspects in found.values())
    print(
        f"{len(found)} cases, {same} same, {len(found) - same - len(unexplained)} explained, "
        f"{len(unexplained)} unexplained"
    )
    return 1 if unexplained or unused else 0


if __name__ == "__main__":
    sys.exit(main())
