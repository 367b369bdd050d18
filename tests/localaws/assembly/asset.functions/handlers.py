"""The functions of the tests: the event's "do" says what to do."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import boto3

counter = 0


class NotReadyError(Exception):
    pass


def handler(event: dict[str, Any], context: Any) -> Any:
    global counter
    counter += 1
    action = "records" if "Records" in event else event.get("do", "echo")
    if action == "echo":
        sys.stdout.write("hello from the log\n")
        return event
    if action == "count":
        return counter
    if action == "environment":
        return {
            "path": sys.path,
            "folder": str(Path.cwd()),
            "remaining": context.get_remaining_time_in_millis(),
            "version": sys.version_info[:2],
            **os.environ,
        }
    if action == "raise":
        raise NotReadyError("not yet")
    if action == "raise-n-times":
        marker = Path(os.environ["TMPDIR"]) / event["name"]
        marker.write_text(marker.read_text() + "x" if marker.exists() else "x")
        if len(marker.read_text()) <= event["n"]:
            raise NotReadyError("not yet")
        return len(marker.read_text())
    if action == "sleep":
        time.sleep(event["seconds"])
        return "awake"
    if action == "exit":
        sys.stdout.flush()
        os._exit(event["code"])
    if action == "big":
        return "x" * event["bytes"]
    if action == "call":
        client = boto3.client(event["service"])
        answer = getattr(client, event["method"])(**event["arguments"])
        answer.pop("ResponseMetadata")
        return json.loads(json.dumps(answer, default=str))
    if action == "records":
        return take_records(event["Records"])
    raise ValueError(action)


def take_records(records: list[dict[str, Any]]) -> Any:
    """Keeps the bodies in S3, under the queue's name; a body says what becomes of it."""
    queue = records[0]["eventSourceARN"].rsplit(":", 1)[-1]
    bodies = [record["body"] for record in records]
    key = f"open/batches/{queue}/{time.time_ns()}"
    boto3.client("s3").put_object(Bucket=os.environ["FROM_TEMPLATE"], Key=key, Body=json.dumps(records).encode())
    if "raise" in bodies:
        raise NotReadyError("not this batch")
    if "unreadable answer" in bodies:
        return {"batchItemFailures": [{"itemIdentifier": "no such message"}]}
    failed = [record["messageId"] for record in records if record["body"] == "fail"]
    return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}
