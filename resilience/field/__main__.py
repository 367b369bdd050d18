"""Every kind of input through the real thing: `make field`, in the worker's environment.

Prints a table of kind, source and outcome, and ends with `K kinds, R right`; the exit code is 1 if one is not.
--json writes the outcomes for a test.
"""

from __future__ import annotations

import argparse
import json
import sys

from resilience.field import files, objects
from testkit.tables import markdown_table


def main() -> None:
    """Meet them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON, and nothing else")
    options = parser.parse_args()
    with objects.storage() as storage:
        met = [(kind, kind.meet()) for kind in (*files.kinds(), *objects.kinds(storage))]
    if options.json:
        print(json.dumps([{"kind": kind.name, "right": kind.outcome, "outcome": outcome} for kind, outcome in met]))
        return
    rows = [
        [kind.name, kind.source, outcome if outcome == kind.outcome else f"**{outcome}**, right is {kind.outcome}"]
        for kind, outcome in met
    ]
    print(markdown_table(["kind", "told of in", "outcome"], rows))
    right = sum(outcome == kind.outcome for kind, outcome in met)
    print(f"{len(met)} kinds, {right} right")
    sys.exit(right != len(met))


if __name__ == "__main__":
    main()
