"""Sends the hostile corpus through the worker, each file in a process of its own and all of them as one run.

    python -m resilience.corpus build/corpus [--record]

Ends with a line `N files, E embedded, F failed, 0 crashed, 0 hung`, and exit code 1 if a file has no outcome, a wrong
one, or cost the worker its process. --record writes docs/reliability.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

from resilience.corpus.collect import CorpusFile, collect
from resilience.corpus.encoders import CRASHED, EMBEDDED, HUNG
from resilience.corpus.record import write_corpus_section
from resilience.corpus.run import Outcomes, measure_isolated, measure_mutations, run_corpus

LOST_TO: Final = {"DecoderCrashed": CRASHED, "TimedOut": HUNG}
"""The reasons of images that cost the worker a process, and what those count as here."""


def main() -> None:
    """Collect, measure, run, judge."""
    parser = argparse.ArgumentParser(description="Send the hostile corpus through the worker.")
    parser.add_argument("folder", type=Path, help="where its files are and archives are unpacked")
    parser.add_argument("--mutations", type=int, default=500, help="of each seed")
    parser.add_argument("--record", action="store_true", help="write docs/reliability.md")
    options = parser.parse_args()
    files, missing = collect(options.folder)
    for line in missing:
        print(f"left out: {line}")
    print(f"{len(files)} files, each alone")
    isolated = measure_isolated(files)
    print(f"{options.mutations} mutations of each seed")
    mutated = measure_mutations(options.mutations)
    print("all of them as one run")
    run = run_corpus(files)
    write_outcomes(options.folder / "outcomes.jsonl", files, isolated, run)
    problems = judge(files, isolated, mutated, run)
    for problem in problems:
        print(f"wrong: {problem}")
    counts = Counter(LOST_TO.get(outcome, outcome) for outcome in run.by_key.values())
    crashed = counts[CRASHED] + sum(result["outcome"] == CRASHED for result in (*isolated, *mutated))
    hung = counts[HUNG] + sum(result["outcome"] == HUNG for result in (*isolated, *mutated))
    embedded = counts[EMBEDDED]
    verdict = (
        f"{len(files):,} files, {embedded:,} embedded, {len(run.by_key) - embedded:,} failed, "
        f"{crashed} crashed, {hung} hung"
    )
    if options.record:
        write_corpus_section(files, isolated, mutated, run, verdict, missing)
    print(verdict)
    sys.exit(1 if problems or crashed or hung else 0)


def write_outcomes(path: Path, files: list[CorpusFile], isolated: list[dict[str, Any]], run: Outcomes) -> None:
    """One line of JSON per file: its outcome alone, with message, seconds and megabytes, and its outcome in the run."""
    lines = [
        json.dumps({"key": file.key, "run": run.by_key.get(file.key), **result})
        for file, result in zip(files, isolated, strict=True)
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def judge(
    files: list[CorpusFile], isolated: list[dict[str, Any]], mutated: list[dict[str, Any]], run: Outcomes
) -> list[str]:
    """Everything that is not as it must be, in words."""
    problems = [f"{file.key!r} has no outcome" for file in files if file.key not in run.by_key]
    problems += [
        f"{key!r} has an outcome, but is not a file" for key in run.by_key.keys() - {file.key for file in files}
    ]
    for file, result in zip(files, isolated, strict=True):
        outcome = run.by_key.get(file.key, "none")
        if file.outcomes is not None and outcome not in file.outcomes:
            problems.append(f"{file.key!r} is {outcome}, not {' or '.join(sorted(file.outcomes))}")
        if outcome != result["outcome"]:
            problems.append(f"{file.key!r} is {outcome} in the run and {result['outcome']} alone")
    problems += [f"a batch of mutations: {result}" for result in mutated if result["outcome"] != EMBEDDED]
    if run.exit_codes != frozenset({0}):
        problems.append(f"the jobs ended with {sorted(run.exit_codes)}")
    return problems


if __name__ == "__main__":
    main()
