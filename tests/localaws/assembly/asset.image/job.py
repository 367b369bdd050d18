"""The jobs of the tests: the first argument says what to do."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def say(text: str) -> None:
    write(text + "\n")


def end_politely(*_: object) -> None:
    say("flushed")
    sys.exit(0)


def main() -> int:
    action, *rest = sys.argv[1:]
    if action == "environment":
        say(json.dumps({"arguments": rest, "folder": str(Path.cwd()), **os.environ}))
    elif action == "client":
        import boto3

        boto3.client("dynamodb")
    elif action == "exit":
        say(f"attempt {os.environ['AWS_BATCH_JOB_ATTEMPT']}")
        return int(rest[0])
    elif action == "exit-by-attempt":
        return int(rest[int(os.environ["AWS_BATCH_JOB_ATTEMPT"]) - 1])
    elif action == "sleep":
        say("sleeping")
        time.sleep(float(rest[0]))
    elif action == "polite":
        signal.signal(signal.SIGTERM, end_politely)
        say("ready")
        time.sleep(60)
    elif action == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say("ready")
        time.sleep(60)
    elif action == "orphan":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        say("parent ends")
    elif action == "lines":
        say("first")
        write("\n" + "x" * 70_000 + "\nübrig")
        time.sleep(float(rest[0]))
    return 0


sys.exit(main())
