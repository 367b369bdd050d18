"""What an expert would write with torch: Dataset, DataLoader, ResNet18 in channels_last, batches of 32.

It reads local files, or objects by boto3, and stores nothing, so it does less than the worker. Run in .venv-bench.
Prints one line of JSON a batch, `{"time": time.monotonic(), "images": N}`, so that it can be measured like the worker.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import models
from torchvision.transforms import v2

BATCH_SIZE = 32
SHORT_SIDE = 256


class Photos(Dataset[torch.Tensor]):  # type: ignore[misc] # torch is in .venv-bench only
    """Images as the network takes them, (3, 224, 224) float32; `draft` lets libjpeg reduce a photo as it decodes.

    `urls` are paths, or S3 URIs, which each loading process reads by a client of its own.
    """

    def __init__(self, urls: list[str], *, draft: bool) -> None:
        self._urls = urls
        self._draft = draft
        self._s3: Any = None
        self._transform = v2.Compose(
            [
                v2.Resize(SHORT_SIDE),
                v2.CenterCrop(224),
                v2.PILToTensor(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
            ]
        )

    def __len__(self) -> int:
        return len(self._urls)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self._opened(self._urls[index])) as image:
            if self._draft:
                image.draft("RGB", (SHORT_SIDE, SHORT_SIDE))
            tensor: torch.Tensor = self._transform(image.convert("RGB"))
            return tensor

    def _opened(self, url: str) -> str | io.BytesIO:
        if not url.startswith("s3://"):
            return url
        self._s3 = self._s3 or boto3.client("s3")
        parts = urlsplit(url)
        return io.BytesIO(self._s3.get_object(Bucket=parts.netloc, Key=parts.path[1:])["Body"].read())


def network(*, frozen: bool) -> torch.nn.Module:
    """ResNet18 without its classifier, its weights random: they do not change what it costs."""
    resnet = models.resnet18(weights=None)
    resnet.fc = torch.nn.Identity()
    resnet = resnet.eval().to(memory_format=torch.channels_last)
    if not frozen:
        return resnet
    example = torch.zeros(BATCH_SIZE, 3, 224, 224).to(memory_format=torch.channels_last)
    # Freezing folds BatchNorm into the convolutions and lets oneDNN choose the layout of the weights.
    module: torch.nn.Module = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(resnet, example)))
    return module


def main() -> None:
    """Embed the photos."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--urls", type=Path, required=True, help="file of paths or S3 URIs, a line each")
    parser.add_argument("--workers", type=int, default=1, help="processes that load")
    parser.add_argument("--threads", type=int, default=1, help="threads of the network")
    parser.add_argument("--draft", action="store_true", help="let libjpeg reduce photos as it decodes")
    parser.add_argument("--frozen", action="store_true", help="trace and freeze the network")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    photos = Photos(options.urls.read_text().splitlines(), draft=options.draft)
    loader = DataLoader(photos, batch_size=BATCH_SIZE, num_workers=options.workers)
    with torch.inference_mode():
        resnet = network(frozen=options.frozen)
        for _ in range(3):
            resnet(torch.zeros(BATCH_SIZE, 3, 224, 224).to(memory_format=torch.channels_last))
        vectors = []
        for batch in loader:
            vectors.append(resnet(batch.to(memory_format=torch.channels_last)).numpy())
            print(json.dumps({"time": time.monotonic(), "images": len(batch)}), flush=True)


if __name__ == "__main__":
    main()
