"""Writes torch_resnet18.npz: what torchvision's own ResNet18 gives for seeded weights and images.

Run by hand, once, from the repository's root, in an environment with torch and torchvision:

    PYTHONPATH=. python tests/golden/make_torch_resnet18.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torchvision

from tests.golden.seeded import seeded_images, seeded_state

IMAGES = {"square": (3, 4, 224, 224), "sample": (5, 2, 244, 224)}

network = torchvision.models.resnet18()
shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
state = seeded_state(shapes)
network.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
network.fc = torch.nn.Identity()
network.eval()

golden: dict[str, np.ndarray] = {"shapes": np.array(json.dumps(shapes)), "images": np.array(json.dumps(IMAGES))}
with torch.inference_mode():
    for name, (seed, *size) in IMAGES.items():
        golden[name] = network(torch.from_numpy(seeded_images(seed, *size))).numpy()
np.savez_compressed(Path(__file__).with_name("torch_resnet18.npz"), **golden)
