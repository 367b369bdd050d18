"""The Lambda function of the second emulator: answers what the embedded AWS's function answered to the same call.

A runtime of its own, since ministack's for Python forgets an error's class: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import os
import time
import urllib.request
from pathlib import Path

API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
RECORDINGS = json.loads((Path(__file__).parent / "recordings.json").read_text())


def answer_of(event):
    """What was answered to this call: `{"payload", "error", "cause"}`."""
    state = event.get("state", event)
    function, case = os.environ["FUNCTION"], state["run"]
    call = f"{function} {state['shard']['shard']}" if function == "VerifyShard" else function
    number = count(Path(os.environ["CALLS"]) / case, call)
    if case == RECORDINGS["held"] and function == "VerifyShard":
        time.sleep(RECORDINGS["held_seconds"])
    answers = RECORDINGS["answers"][case].get(call, [])
    if number >= len(answers):
        return {"error": "CalledOnceMore", "cause": f"{call} was called {len(answers)} times on the embedded AWS"}
    return answers[number]


def count(folder, call):
    """How often `call` was made before; invocations may be of several processes."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    while True:
        try:
            (folder / f"{call} #{number}").touch(exist_ok=False)
        except FileExistsError:
            number += 1
        else:
            return number


def serve():
    """The runtime's loop, for as long as the process lives."""
    while True:
        with urllib.request.urlopen(f"{API}/next") as invocation:
            request = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
            answer = answer_of(json.loads(invocation.read()))
        if answer["error"]:
            post(f"{request}/error", {"errorType": answer["error"], "errorMessage": answer["cause"]})
        else:
            post(f"{request}/response", answer["payload"])


def post(path, document):
    """Answer the invocation."""
    request = urllib.request.Request(f"{API}/{path}", json.dumps(document).encode(), method="POST")
    urllib.request.urlopen(request).close()


if __name__ == "__main__":
    serve()
