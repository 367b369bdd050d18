"""What an expert would write with torch: Dataset, DataLoader, ResNet18 in channels_last, batches of 32.

It reads local files and stores nothing, so it does less than the worker. Run in .venv-bench. Prints one line of JSON
a batch, `{"time": time.monotonic(), "images": N}`, so that it can be measured like the worker.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import models
from torchvision.transforms import v2

BATCH_SIZE = 32
SHORT_SIDE = 256


class Photos(Dataset[torch.Tensor]):  # type: ignore[misc] # torch is in .venv-bench only
    """Files as the network takes them, (3, 224, 224) float32; `draft` lets libjpeg reduce a photo as it decodes."""

    def __init__(self, files: list[Path], *, draft: bool) -> None:
        self._files = files
        self._draft = draft
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
        return len(self._files)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self._files[index]) as image:
            if self._draft:
                image.draft("RGB", (SHORT_SIDE, SHORT_SIDE))
            tensor: torch.Tensor = self._transform(image.convert("RGB"))
            return tensor


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
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos, taken again and again")
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1, help="processes that load")
    parser.add_argument("--threads", type=int, default=1, help="threads of the network")
    parser.add_argument("--draft", action="store_true", help="let libjpeg reduce photos as it decodes")
    parser.add_argument("--frozen", action="store_true", help="trace and freeze the network")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    files = sorted(options.photos.iterdir())
    files = (files * -(-options.images // len(files)))[: options.images]
    loader = DataLoader(Photos(files, draft=options.draft), batch_size=BATCH_SIZE, num_workers=options.workers)
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
