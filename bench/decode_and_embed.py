"""The limit: decoding and the network alone, in memory, on one thread. Run in the worker's environment.

The same functions as the worker's, without fetching, storing, threads or queues. Prints a line of JSON, and with
--vectors writes the vectors of the slow path: one photo at a time, in batches of one.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from stepvec_worker.engines import Embedder, load_embedder
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import Pixels, pixel_format, prepare
from stepvec_worker.settings import Settings

from stepvec.rows.item import one_of
from stepvec.rows.model import PREPROCESSINGS, ModelIdentity, Preprocessing


def main() -> None:
    """Measure, or write vectors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--images", type=int, required=True, help="the photos are taken again to make so many")
    parser.add_argument("--model-directory", type=Path, required=True)
    parser.add_argument("--model", required=True, help="its name, which says what is run and how")
    parser.add_argument("--vectors", type=Path, help="write vectors here (.npz) instead of measuring")
    options = parser.parse_args()
    identity = ModelIdentity.parse(options.model)
    preprocessing = one_of(PREPROCESSINGS, identity.preprocessing, "Preprocessing")
    files = sorted(options.photos.iterdir())
    if options.vectors:
        embedder = _embedder(options.model_directory, identity, preprocessing, batch_size=1)
        photos = {file.name: _prepare(file.read_bytes(), preprocessing) for file in files[: options.images]}
        np.savez(options.vectors, **{name: embedder.embed([pixels])[0] for name, pixels in photos.items()})
        return
    contents = [file.read_bytes() for file in files]
    contents = (contents * -(-options.images // len(contents)))[: options.images]
    begin = time.process_time()
    pixels = [_prepare(content, preprocessing) for content in contents]
    decoded = time.process_time()
    batch_size = Settings(image_bucket="", table="", model=options.model).batch_size
    embedder = _embedder(options.model_directory, identity, preprocessing, batch_size=batch_size)
    # The first call builds the graph, which the worker does before its steady part.
    embedder.embed(pixels[:1])
    loaded = time.process_time()
    for first in range(0, len(pixels), batch_size):
        embedder.embed(pixels[first : first + batch_size])
    embedded = time.process_time()
    decode_ms, model_ms = (1000 * seconds / len(pixels) for seconds in (decoded - begin, embedded - loaded))
    print(json.dumps({"decode_ms": decode_ms, "model_ms": model_ms}))


def _prepare(content: bytes, preprocessing: Preprocessing) -> Pixels:
    return prepare(content, DecodeLimits(), preprocessing)


def _embedder(directory: Path, identity: ModelIdentity, preprocessing: Preprocessing, *, batch_size: int) -> Embedder:
    embedder = load_embedder(
        directory,
        "cpu",
        pixel_format(preprocessing),
        batch_size,
        engine=identity.engine,
        precision=identity.precision,
    )
    if embedder.running != f"{identity.engine} {identity.precision}":
        # Else the limit of one engine would stand beside the worker of another.
        raise SystemExit(f"{embedder.running} is what runs here, not {identity}.")
    return embedder


if __name__ == "__main__":
    main()
