"""`python -m stepvec_worker --shard s3://WORK/runs/RUN/shards/N.jsonl.gz [--device cpu|gpu]`: embeds one shard."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence

from stepvec.errors import AccessDeniedError, ProcessLostError, StepvecError, StorageError
from stepvec.exit_codes import DO_NOT_RETRY, SUCCESS, TERMINATED, TRY_AGAIN


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worker and return its exit code (stepvec/exit_codes.py), which decides whether Batch tries again."""
    parser = argparse.ArgumentParser(prog="stepvec_worker", description="Embed the images of one shard.")
    parser.add_argument("--shard", required=True, help="URI of the shard, s3://WORK/runs/RUN/shards/N.jsonl.gz")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="where the network runs")
    options = parser.parse_args(arguments)
    # Modules and the models of services stay: the collector would walk through them again and again while they are
    # loaded, 0.1 s in all. The supervisor switches it on (docs/decisions/0143).
    gc.disable()
    from stepvec.adapters.environment import read_environment
    from stepvec.adapters.telemetry import logger
    from stepvec_worker.processes.host import Termination
    from stepvec_worker.settings import Settings
    from stepvec_worker.worker import Worker

    termination = Termination()
    termination.install()
    try:
        is_done = Worker(read_environment(Settings, os.environ), options.device, termination).run(options.shard)
    except AccessDeniedError:
        logger.exception("not allowed")
        return DO_NOT_RETRY
    except StorageError:
        logger.exception("storage failed")
        return TRY_AGAIN
    except ProcessLostError:
        logger.exception("embedding processes died")
        return TRY_AGAIN
    except StepvecError:
        logger.exception("cannot work")
        return DO_NOT_RETRY
    if not is_done:
        logger.warning("terminated before the end; what was begun is stored")
        return TERMINATED
    return SUCCESS


if __name__ == "__main__":
    sys.exit(main())
