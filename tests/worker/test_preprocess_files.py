"""How images are made, as encoders' authors write it down."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stepvec_worker.encoders.preprocess_file import read_preprocess_file

from stepvec.errors import WeightsError
from stepvec.rows.encoder import Recipe

CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
HALF = [0.5, 0.5, 0.5]


def read(document: Any) -> Recipe:
    return read_preprocess_file(json.dumps(document).encode(), "p.json").recipe


# As they are published beside these models.
CLIP = {
    "crop_size": {"height": 224, "width": 224}, "do_center_crop": True, "do_convert_rgb": True, "do_normalize": True,
    "do_rescale": True, "do_resize": True, "image_mean": CLIP_MEAN, "image_processor_type": "CLIPImageProcessor",
    "image_std": CLIP_STD, "resample": 3, "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 224},
}  # fmt: skip
OLD_CLIP = {
    "crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": CLIP_MEAN, "image_std": CLIP_STD, "resample": 3,
    "size": 224,
}  # fmt: skip
DINOV2 = CLIP | {
    "image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256}, "image_mean": IMAGENET_MEAN,
    "image_std": IMAGENET_STD,
}  # fmt: skip
VIT = {
    "do_normalize": True, "do_resize": True, "image_mean": HALF, "image_std": HALF, "size": 224, "resample": 2,
    "feature_extractor_type": "ViTFeatureExtractor",
}  # fmt: skip
SIGLIP = {
    "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": HALF, "image_std": HALF,
    "image_processor_type": "SiglipImageProcessor", "processor_class": "SiglipProcessor", "resample": 3,
    "rescale_factor": 0.00392156862745098, "size": {"height": 384, "width": 384},
}  # fmt: skip
CONVNEXT = {
    "crop_pct": 0.875, "do_normalize": True, "do_resize": True, "feature_extractor_type": "ConvNextFeatureExtractor",
    "image_mean": IMAGENET_MEAN, "image_std": IMAGENET_STD, "resample": 3, "size": 224,
}  # fmt: skip
MOBILEVIT = {
    "crop_size": {"height": 256, "width": 256}, "do_center_crop": True, "do_flip_channel_order": True,
    "do_rescale": True, "do_resize": True, "image_processor_type": "MobileViTImageProcessor", "resample": 2,
    "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 288},
}  # fmt: skip
TIMM = {
    "architecture": "vit_small_patch16_224", "num_classes": 0,
    "pretrained_cfg": {
        "tag": "dino", "input_size": [3, 224, 224], "fixed_input_size": True, "interpolation": "bicubic",
        "crop_pct": 0.9, "crop_mode": "center", "mean": IMAGENET_MEAN, "std": IMAGENET_STD, "pool_size": None,
    },
}  # fmt: skip

ONE_255TH = 1 / 255


@pytest.mark.parametrize(
    ("document", "geometry", "numbers"),
    [
        (CLIP, ((224,), (224, 224), "bicubic", "down", "rgb"), (ONE_255TH, CLIP_MEAN, CLIP_STD)),
        (OLD_CLIP, ((224,), (224, 224), "bicubic", "down", "rgb"), (ONE_255TH, CLIP_MEAN, CLIP_STD)),
        (DINOV2, ((256,), (224, 224), "bicubic", "down", "rgb"), (ONE_255TH, IMAGENET_MEAN, IMAGENET_STD)),
        (VIT, ((224, 224), (), "bilinear", "down", "rgb"), (ONE_255TH, HALF, HALF)),
        (SIGLIP, ((384, 384), (), "bicubic", "down", "rgb"), (ONE_255TH, HALF, HALF)),
        (CONVNEXT, ((256,), (224, 224), "bicubic", "down", "rgb"), (ONE_255TH, IMAGENET_MEAN, IMAGENET_STD)),
        (
            CONVNEXT | {"size": 384},
            ((384, 384), (), "bicubic", "down", "rgb"), (ONE_255TH, IMAGENET_MEAN, IMAGENET_STD),
        ),
        (MOBILEVIT, ((288,), (256, 256), "bilinear", "down", "bgr"), (ONE_255TH, [0, 0, 0], [1, 1, 1])),
        (TIMM, ((248,), (224, 224), "bicubic", "even", "rgb"), (ONE_255TH, IMAGENET_MEAN, IMAGENET_STD)),
        (
            TIMM["pretrained_cfg"] | {"crop_mode": "squash", "input_size": [3, 518, 518], "crop_pct": 1.0},  # type: ignore[operator]
            ((518, 518), (518, 518), "bicubic", "even", "rgb"), (ONE_255TH, IMAGENET_MEAN, IMAGENET_STD),
        ),
        (
            {"resize": [256, 256], "crop": 224, "channels": "bgr", "scale": 1, "mean": [104, 117, 123]},
            ((256, 256), (224, 224), "bilinear", "down", "bgr"), (1, [104, 117, 123], [1, 1, 1]),
        ),
    ],
)  # fmt: skip
def test_published_files_are_understood(document: Any, geometry: tuple[Any, ...], numbers: tuple[Any, ...]) -> None:
    recipe = read(document)

    assert (recipe.resize, recipe.crop, recipe.resample, recipe.crop_offset, recipe.channels) == geometry
    assert (recipe.scale, list(recipe.mean), list(recipe.std)) == (pytest.approx(numbers[0]), *numbers[1:])


def test_the_layout_is_said_or_implied() -> None:
    assert read_preprocess_file(json.dumps(CLIP).encode(), "p.json").layout == "NCHW"
    assert read_preprocess_file(b'{"resize": 256, "crop": 224}', "p.json").layout is None
    assert read_preprocess_file(b'{"resize": 256, "crop": 224, "layout": "NHWC"}', "p.json").layout == "NHWC"


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("not an object", "no JSON object"),
        ({}, "has neither resize"),
        (CLIP | {"auto_map": {"AutoImageProcessor": "x.py"}}, "code of its authors"),
        (CLIP | {"do_pad": True}, "do_pad is True"),
        (CLIP | {"rescale_offset": True}, "rescale_offset"),
        (CLIP | {"do_resize": False}, "keep their own sizes"),
        (CLIP | {"size": {"longest_edge": 224}}, "shortest_edge"),
        (CLIP | {"resample": 9}, "resample is 9"),
        (CLIP | {"image_mean": [0.5, 0.5]}, "three numbers"),
        (CLIP | {"image_std": [0.5, 0, 0.5]}, "divided"),
        (CLIP | {"crop_size": 1024, "size": {"shortest_edge": 1024}}, "224 to 518"),
        (CLIP | {"crop_size": 32, "size": {"shortest_edge": 32}}, "224 to 518"),
        (CLIP | {"crop_size": 288}, "larger than the resized short side"),
        (CLIP | {"do_center_crop": False}, "different sizes"),
        (SIGLIP | {"image_mean": None}, "image_mean is None"),
        ({"do_resize": True, "size": 224, "do_normalize": True}, "needs image_mean"),
        (CONVNEXT | {"feature_extractor_type": "PoolFormerFeatureExtractor"}, "ConvNextImageProcessor alone"),
        ({"input_size": [3, 224, 256]}, "SIDE, SIDE"),
        ({"input_size": [3, 224, 224], "crop_mode": "border"}, "pads"),
        ({"input_size": [3, 224, 224], "crop_pct": 1.2}, "crop_pct is 1.2"),
        ({"resize": 256, "crop": 224, "sharpen": 1}, "no 'sharpen'"),
        ({"resize": 256, "crop": 224, "resample": "cubic"}, "'cubic' is none of"),
        ({"resize": True, "crop": 224}, "number of pixels"),
        ({"resize": 256, "crop": 224, "mean": [float("inf"), 0, 0]}, "must be a number"),
    ],
)
def test_what_is_not_understood_is_named(document: Any, problem: str) -> None:
    with pytest.raises(WeightsError, match=problem) as caught:
        read(document)
    assert "docs/encoders.md" in caught.value.remedy


def test_what_is_no_json_is_said() -> None:
    for text in (b"", b"{", b"[" * 100_000, b"\xff\xfe"):
        with pytest.raises(WeightsError, match="is not JSON"):
            read_preprocess_file(text, "p.json")
    with pytest.raises(WeightsError, match="too many"):
        read_preprocess_file(b" " * 1_000_001, "p.json")
