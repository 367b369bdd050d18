"""`python -m stepvec_worker.reembed --model-directory DIR --model NAME`: vectors of files, for `stepvec audit`.

Standard input: a file's path per line. Standard output: a line of JSON for each, {"vector": numbers in base64, float32,
little-endian} or {"reason", "message"} for a file that gets no vector. Nothing is read from or written to AWS.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import Any

from stepvec.rows.model import ModelIdentity
from stepvec.weights.model_directory import read_model_card
from stepvec_worker.engines import load_embedder
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import pixel_format, preparation, prepare
from stepvec_worker.images.rejection import ImageRejected


def main() -> None:
    """Embed one file after the other, as the worker does."""
    parser = argparse.ArgumentParser(prog="stepvec_worker.reembed", description="Embed files.")
    parser.add_argument("--model-directory", type=Path, required=True)
    parser.add_argument("--model", required=True, help="as rows name it")
    options = parser.parse_args()
    identity = ModelIdentity.parse(options.model)
    prepared = preparation(read_model_card(options.model_directory), identity.preprocessing)
    embedder = load_embedder(
        options.model_directory,
        "cpu",
        pixel_format(prepared),
        batch_size=1,
        engine=identity.engine,
        precision=identity.precision,
    )
    # The worker's own defaults.
    limits = DecodeLimits()
    for line in sys.stdin:
        answer: dict[str, Any]
        try:
            pixels = prepare(Path(line.rstrip("\n")).read_bytes(), limits, prepared)
            (vector,) = embedder.embed([pixels])
            answer = {"vector": base64.b64encode(vector.astype("<f4").tobytes()).decode()}
        except ImageRejected as rejected:
            answer = {"reason": str(rejected.reason), "message": rejected.message}
        print(json.dumps(answer), flush=True)  # noqa: T201 - the protocol


if __name__ == "__main__":
    main()
