"""A module of the listing benchmarks as a process in the environment that a Lambda function of the pipeline has."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from local_pipeline.installation import LAMBDA_PYTHON, ROOT
from testkit.storage.client import WORK_BUCKET, Storage
from testkit.storage.synthetic import BUCKET, MODEL

SHARD_SIZE: Final = 5_000
_NO_MORE: Final[Mapping[str, str]] = MappingProxyType({})


def run_in_lambda(
    storage: Storage, module: str, part: str, given: Any, *, keys: int, table: str, more: Mapping[str, str] = _NO_MORE
) -> Any:
    """What `python -m MODULE PART` answers to `given`, both JSON, on the synthetic bucket of `keys` images.

    more: variables of its environment beside those that all functions have. Raises RuntimeError with the end of its
    standard error where it fails.
    """
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'build' / 'lambda-packages'}",
        **storage.environment,
        "STEPVEC_IMAGE_BUCKET": f"{BUCKET}{keys}",
        "STEPVEC_WORK_BUCKET": WORK_BUCKET,
        "STEPVEC_SHARD_SIZE": str(SHARD_SIZE),
        "STEPVEC_TABLE": table,
        "STEPVEC_MODEL": MODEL,
        "STEPVEC_WORKER_VERSION": "1",
        **more,
    }
    ended = subprocess.run(
        [str(LAMBDA_PYTHON), "-m", module, part],
        cwd=ROOT,
        env=environment,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"{part} failed on {keys:,} keys:\n{ended.stderr[-2000:]}")
    return json.loads(ended.stdout)
