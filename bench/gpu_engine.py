"""ONNX Runtime alone, in one process of its environment: vectors, and images a second of a batch that is there.

Prints a line of JSON as soon as it is warm, waits for a line on its input, embeds for some seconds, and prints another:
whoever watches the card knows when it computes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
from stepvec_worker.engines import load_embedder
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import pixel_format, prepare

from stepvec.rows.model import ModelIdentity, Preprocessing

PREPROCESSING: Final[Preprocessing] = "standard-1"


def main() -> None:
    """Embed the photos once, and one batch of them again and again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--model-directory", type=Path, required=True)
    parser.add_argument("--model", required=True, help="its name, which says what is run and how")
    parser.add_argument("--device", required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--vectors", type=Path, required=True, help="where the photos' vectors go (.npz)")
    options = parser.parse_args()
    identity = ModelIdentity.parse(options.model)
    files = sorted(options.photos.iterdir())
    pixels = [prepare(file.read_bytes(), DecodeLimits(), PREPROCESSING) for file in files]
    start = time.perf_counter()
    embedder = load_embedder(
        options.model_directory,
        options.device,
        pixel_format(PREPROCESSING),
        options.batch_size,
        engine=identity.engine,
        precision=identity.precision,
    )
    size = options.batch_size
    vectors = [embedder.embed(pixels[first : first + size]) for first in range(0, len(pixels), size)]
    np.savez(options.vectors, **dict(zip((file.name for file in files), np.concatenate(vectors), strict=True)))
    batch = (pixels * -(-size // len(pixels)))[:size]
    embedder.embed(batch)
    print(json.dumps({"running": embedder.running, "load_seconds": time.perf_counter() - start}), flush=True)
    sys.stdin.readline()
    begin, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begin) < options.seconds:
        embedder.embed(batch)
        count += size
    print(json.dumps({"images_per_second": count / elapsed}), flush=True)


if __name__ == "__main__":
    main()
