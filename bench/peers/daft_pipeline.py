"""What one would write with Daft: a column of URLs, downloaded, decoded, resized, embedded in batches by a class.

As Daft's own guides for image embeddings do it on one machine; the network is the DataLoader peer's. It stores nothing.
Run in .venv-bench. Prints one line of JSON a batch, as the DataLoader peer does.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import daft
import numpy as np
import torch
from daft import DataType, col
from daft.functions import decode_image, download, resize
from daft.io import IOConfig, S3Config

from bench.peers.dataloader import BATCH_SIZE, network

SIDE = 224
DIMENSION = 512
MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
VECTOR = DataType.fixed_size_list(DataType.float32(), DIMENSION)


def embedding(threads: int) -> Any:
    """The class that embeds a batch, as a function of a column; torch computes in `threads`."""

    @daft.cls(max_concurrency=1)
    class Embed:
        def __init__(self) -> None:
            torch.set_num_threads(threads)
            self._network = network(frozen=True)

        @daft.method.batch(return_dtype=VECTOR, batch_size=BATCH_SIZE)  # type: ignore[untyped-decorator] # daft is in .venv-bench only
        def __call__(self, images: daft.Series) -> Any:
            pixels = torch.from_numpy(np.stack(images.to_pylist())).permute(0, 3, 1, 2).contiguous()
            normalised = (pixels.float() / 255 - MEAN.view(3, 1, 1)) / DEVIATION.view(3, 1, 1)
            missing = BATCH_SIZE - len(normalised)
            # Frozen for one batch size: the last one is filled up.
            whole = torch.cat([normalised, normalised.new_zeros((missing, 3, SIDE, SIDE))]) if missing else normalised
            with torch.inference_mode():
                vectors = self._network(whole.to(memory_format=torch.channels_last))[: len(pixels)].numpy()
            print(json.dumps({"time": time.monotonic(), "images": len(pixels)}), flush=True)
            return list(vectors)

    return Embed()


def io_config() -> IOConfig:
    """How Daft finds S3: by what the AWS SDKs read of the environment."""
    return IOConfig(
        s3=S3Config(
            endpoint_url=os.environ.get("AWS_ENDPOINT_URL"),
            region_name=os.environ.get("AWS_DEFAULT_REGION"),
            key_id=os.environ.get("AWS_ACCESS_KEY_ID"),
            access_key=os.environ.get("AWS_SECRET_ACCESS_KEY"),
            use_ssl=False,
        )
    )


def main() -> None:
    """Embed the images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--urls", type=Path, required=True, help="file of URLs or paths, a line each")
    parser.add_argument("--threads", type=int, default=1, help="threads of the network")
    parser.add_argument("--connections", type=int, default=32, help="downloads at a time")
    options = parser.parse_args()
    urls = options.urls.read_text().splitlines()
    embed = embedding(options.threads)
    data = download(col("url"), max_connections=options.connections, io_config=io_config())
    image = resize(decode_image(data, mode="RGB"), SIDE, SIDE)
    frame = daft.from_pydict({"url": urls}).into_batches(BATCH_SIZE)
    found = frame.select(col("url"), embed(image).alias("vector")).to_pydict()
    if len(found["vector"]) != len(urls):
        raise RuntimeError(f"{len(found['vector'])} vectors of {len(urls)} images")


if __name__ == "__main__":
    main()
