"""One Lambda function's rounds, in the environment of AWS's runtime: `python -m bench.listing_rounds HANDLER < event`.

Invokes the real handler as the state machine does, the answer being the next event until it is done, each round with
the time that Lambda gives. Writes the last answer and what it took as JSON to standard output. `peer` instead of a
handler lists as the original sample did: one paginator, every key kept in a list.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import boto3

from testkit.processes import peak_mb

LAMBDA_SECONDS: Final = 900.0
PEER: Final = "peer"
SUFFIXES: Final = (".jpg", ".jpeg", ".png")


@dataclass(slots=True)
class Context:
    """What the handlers use of Lambda's context: the time left, by the clock, and some names for the log."""

    deadline: float
    function_name: str = "bench"
    memory_limit_in_mb: int = 1_769
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:bench"
    aws_request_id: str = "bench"

    def get_remaining_time_in_millis(self) -> int:
        return int((self.deadline - time.monotonic()) * 1_000)


def run_rounds(handle: Callable[[Any, Any], Any], event: Any) -> tuple[Any, int]:
    """The answer of the last round, and the number of rounds."""
    rounds = 0
    while True:
        event = handle(event, Context(time.monotonic() + LAMBDA_SECONDS))
        rounds += 1
        if event["done"]:
            return event, rounds


def list_as_the_sample(event: Any, context: Any) -> Any:  # noqa: ARG001 - called as a handler is
    """All keys of images in a list, as a Lambda without rounds collects them."""
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=event["bucket"], Prefix=event["prefix"])
    keys = [entry["Key"] for page in pages for entry in page["Contents"] if entry["Key"].lower().endswith(SUFFIXES)]
    return {"counts": {"listed": len(keys)}, "done": True}


def main() -> None:
    """Run the rounds of one function and say what they took."""
    name, event = sys.argv[1], json.load(sys.stdin)
    handle = list_as_the_sample if name == PEER else importlib.import_module(f"lambdas.{name}.handler").handle
    # The handlers' logs and metrics are no part of the answer.
    answer_stream = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    wall, cpu = time.perf_counter(), time.process_time()
    answer, rounds = run_rounds(handle, event)
    measured = {
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": peak_mb(),
        "rounds": rounds,
    }
    json.dump({"answer": answer, "measured": measured}, answer_stream)
    answer_stream.close()


if __name__ == "__main__":
    main()
