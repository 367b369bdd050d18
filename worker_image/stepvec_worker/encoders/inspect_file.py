"""`python -m stepvec_worker.encoders.inspect_file < request`: an Inspection, as JSON on standard output.

`stepvec weights` starts this in the worker's environment, since the file is not trusted: nothing of it is parsed or
loaded by the command itself. Memory, seconds and files of the process are limited before the file is opened.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from stepvec import codec
from stepvec.errors import StepvecError, WeightsError
from stepvec.weights.own_encoder import EncoderRequest
from stepvec_worker.encoders.inspection import SUSPICIOUS, inspect
from stepvec_worker.encoders.preprocess_file import MAX_BYTES, PreprocessFile, read_preprocess_file
from stepvec_worker.guard import limit_process

_CPU_SECONDS: Final = 600


def main() -> int:
    """Inspect; 0, or 1 with what is wrong and the remedy as JSON."""
    try:
        request = codec.from_json(EncoderRequest, sys.stdin.read(), where="the request")
        file = Path(request.file)
        # Whoever starts this has copied the file, and taken no more than MAX_ONNX_BYTES.
        limit_process(file.stat().st_size, _CPU_SECONDS)
        inspection = inspect(file.read_bytes(), request, _preprocess_file(Path(request.preparation)))
    except StepvecError as error:
        json.dump({"message": error.message, "remedy": error.remedy}, sys.stdout)
        return 1
    except MemoryError:
        problem = {"message": f"{request.where} takes more memory than a file of its size may.", "remedy": SUSPICIOUS}
        json.dump(problem, sys.stdout)
        return 1
    sys.stdout.write(codec.to_json(inspection) + "\n")
    return 0


def _preprocess_file(file: Path) -> PreprocessFile:
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise WeightsError(
            f"{file.name} cannot be read: {error.strerror or error}.",
            remedy="Give the file that says how images are made, a preprocessor_config.json for example.",
        ) from error
    return read_preprocess_file(text, file.name)


if __name__ == "__main__":
    sys.exit(main())
