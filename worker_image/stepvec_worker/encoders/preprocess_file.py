"""A file that says how an encoder's images are made: our own, transformers' preprocessor_config.json, or timm's
pretrained_cfg. What is not understood is refused by name: a step left out would spoil every vector without a word.

Sources: transformers' image processors of these names (image_processing_*.py) and image_transforms.py; timm's
data/transforms_factory.py (transforms_imagenet_eval) and data/config.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast, get_args

from stepvec.errors import WeightsError
from stepvec.rows.encoder import MAX_SIDE, MIN_SIDE, Channels, CropOffset, Layout, Recipe, Resample

MAX_BYTES: Final = 1_000_000

_REMEDY: Final = "docs/encoders.md has the forms of it, and one of your own says it in a few lines."

_PILLOW: Final[tuple[Resample, ...]] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Pillow's numbers of its filters are their places here; transformers writes those."""

_NO_MATTER: Final = frozenset(
    {
        "_processor_class", "auto_map", "data_format", "default_to_square", "device", "disable_grouping",
        "do_convert_rgb", "feature_extractor_type", "image_processor_type", "image_seq_length", "input_data_format",
        "processor_class", "return_tensors", "rescale_factor", "image_mean", "image_std", "size", "crop_size",
        "resample", "do_resize", "do_center_crop", "do_rescale", "do_normalize", "crop_pct", "do_flip_channel_order",
    }
)  # fmt: skip
"""Keys of a preprocessor_config.json that are read below, or change nothing here."""
_SHORT_SIDE: Final = ("Bit", "CLIP", "ChineseCLIP", "ConvNext", "MobileNetV1", "MobileNetV2", "MobileViT", "ViTHybrid")
"""Processors for which a size of one number is the short side's; for all others it is both sides'."""
_CONVNEXT_WARPS: Final = 384
"""From this size on ConvNext's processor neither keeps the proportions nor crops."""


@dataclass(frozen=True, slots=True)
class PreprocessFile:
    """The recipe, and the layout that the file says or its kind implies: of our own form it may be unknown."""

    recipe: Recipe
    layout: Layout | None


def read_preprocess_file(text: bytes, where: str) -> PreprocessFile:
    """What the JSON `text` says. Raises WeightsError for what it does not say, and for steps that there are not."""
    if len(text) > MAX_BYTES:
        raise WeightsError(f"{where} has {len(text):,} bytes, too many to say how images are made.", remedy=_REMEDY)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{where} is not JSON: {error}.", remedy=_REMEDY) from error
    if not isinstance(document, dict):
        raise WeightsError(f"{where} is no JSON object.", remedy=_REMEDY)
    reader = _Reader(where)
    nested = document.get("pretrained_cfg")
    if isinstance(nested, dict):
        document = nested
    if "input_size" in document:
        read = PreprocessFile(reader.timm(document), "NCHW")
    elif document.keys() & {"image_processor_type", "feature_extractor_type", "do_resize", "image_mean", "do_rescale"}:
        read = PreprocessFile(reader.transformers(document), "NCHW")
    elif "resize" in document:
        layout = document.pop("layout", None)
        read = PreprocessFile(reader.own(document), None if layout is None else reader.choice(layout, Layout))
    else:
        raise WeightsError(
            f"{where}: it has neither resize (our own form), image_processor_type (transformers) nor "
            "input_size (timm).",
            remedy=_REMEDY,
        )
    reader.check(read.recipe)
    return read


class _Reader:
    """Readers of the three forms, whose errors name the file."""

    def __init__(self, where: str) -> None:
        self._where = where

    def own(self, document: Mapping[str, Any]) -> Recipe:
        """Our own form: the fields of Recipe, a number for a square's two sides, and defaults for all but resize."""
        known = {"resize", "crop", "resample", "crop_offset", "channels", "scale", "mean", "std"}
        if unknown := sorted(document.keys() - known):
            raise self._error(f"there is no {unknown[0]!r}")
        crop = document.get("crop")
        return Recipe(
            resize=self._resize(document["resize"]),
            crop=() if crop is None else self._pair(crop, "crop"),
            resample=self.choice(document.get("resample", "bilinear"), Resample),
            crop_offset=self.choice(document.get("crop_offset", "down"), CropOffset),
            channels=self.choice(document.get("channels", "rgb"), Channels),
            scale=self._number(document.get("scale", 1 / 255), "scale"),
            mean=self._three(document.get("mean", [0, 0, 0]), "mean"),
            std=self._three(document.get("std", [1, 1, 1]), "std"),
        )

    def timm(self, document: Mapping[str, Any]) -> Recipe:
        """timm's pretrained_cfg: the short side so large that `crop_pct` of it is the input's, and its middle."""
        size = document["input_size"]
        if not isinstance(size, list) or len(size) != 3 or size[0] != 3 or size[1] != size[2]:
            raise self._error(f"input_size is {size!r}; it must be [3, SIDE, SIDE]")
        side = self._side(size[1], "input_size")
        share = self._number(document.get("crop_pct") or 0.875, "crop_pct")
        if not 0 < share <= 1:
            raise self._error(f"crop_pct is {share}")
        large = math.floor(side / share)
        mode = document.get("crop_mode") or "center"
        if mode not in ("center", "squash"):
            raise self._error(f"crop_mode {mode!r} pads, which is not done here")
        return Recipe(
            resize=(large,) if mode == "center" else (large, large),
            crop=(side, side),
            resample=self.choice(document.get("interpolation") or "bicubic", Resample),
            crop_offset="even",
            channels="rgb",
            scale=1 / 255,
            mean=self._three(document.get("mean", [0.485, 0.456, 0.406]), "mean"),
            std=self._three(document.get("std", [0.229, 0.224, 0.225]), "std"),
        )

    def transformers(self, document: Mapping[str, Any]) -> Recipe:
        """A preprocessor_config.json of transformers."""
        kind = str(document.get("image_processor_type") or document.get("feature_extractor_type") or "")
        name = kind.removesuffix("Fast").removesuffix("ImageProcessor").removesuffix("FeatureExtractor")
        if document.get("auto_map"):
            raise self._error("auto_map: its preprocessing is code of its authors, which is not run here")
        for key in sorted(document.keys() - _NO_MATTER):
            if document[key] not in (None, False):
                raise self._error(f"{key} is {document[key]!r:.60}, and what it does is not known here")
        resize, crop = self._transformers_geometry(document, name)
        resample = document.get("resample", 2)
        if isinstance(resample, bool) or not isinstance(resample, int) or not 0 <= resample < len(_PILLOW):
            raise self._error(f"resample is {resample!r}; it must be one of Pillow's numbers, 0 to {len(_PILLOW) - 1}")
        normalised = document.get("do_normalize", "image_mean" in document)
        if normalised and not ("image_mean" in document and "image_std" in document):
            raise self._error("do_normalize needs image_mean and image_std")
        return Recipe(
            resize=resize,
            crop=crop,
            resample=_PILLOW[resample],
            crop_offset="down",
            channels="bgr" if document.get("do_flip_channel_order") else "rgb",
            scale=self._number(document.get("rescale_factor", 1 / 255), "rescale_factor")
            if document.get("do_rescale", True)
            else 1.0,
            mean=self._three(document["image_mean"], "image_mean") if normalised else (0.0, 0.0, 0.0),
            std=self._three(document["image_std"], "image_std") if normalised else (1.0, 1.0, 1.0),
        )

    def _transformers_geometry(self, document: Mapping[str, Any], name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Resize and crop of a Recipe."""
        if not document.get("do_resize", True):
            raise self._error("do_resize is false, so images would keep their own sizes")
        resize = self._transformers_size(document.get("size"), "size", name in _SHORT_SIDE)
        if document.get("crop_pct") is not None:
            return self._convnext(resize, self._number(document["crop_pct"], "crop_pct"), name)
        if name == "Levit" and len(resize) == 1:
            resize = (int(256 / 224 * resize[0]),)
        if not document.get("do_center_crop", "crop_size" in document):
            return resize, ()
        crop = self._transformers_size(document.get("crop_size", document.get("size")), "crop_size", short_side=False)
        return resize, crop if len(crop) == 2 else crop * 2

    def _convnext(self, resize: tuple[int, ...], share: float, name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if name != "ConvNext" or len(resize) != 1 or not 0 < share <= 1:
            raise self._error("crop_pct is understood for ConvNextImageProcessor alone, with a shortest_edge")
        side = resize[0]
        return ((side, side), ()) if side >= _CONVNEXT_WARPS else ((int(side / share),), (side, side))

    def _transformers_size(self, size: Any, key: str, short_side: bool) -> tuple[int, ...]:
        if isinstance(size, dict) and size.keys() == {"height", "width"}:
            return self._side(size["height"], key), self._side(size["width"], key)
        if isinstance(size, dict) and size.keys() == {"shortest_edge"}:
            return (self._side(size["shortest_edge"], key),)
        if isinstance(size, dict) or size is None:
            raise self._error(f"{key} is {size!r:.60}; height and width are understood, or shortest_edge")
        side = self._side(size, key)
        return (side,) if short_side else (side, side)

    def check(self, recipe: Recipe) -> None:
        """Raises WeightsError where what the network would see has no one size, or one that is not taken."""
        if len(recipe.resize) == 1 and not recipe.crop:
            raise self._error("the short side is resized and nothing cropped, so images would have different sizes")
        if recipe.crop and min(recipe.resize) < max(recipe.crop) and len(recipe.resize) == 1:
            raise self._error(f"a crop of {recipe.crop} is larger than the resized short side, {recipe.resize[0]}")
        if len(recipe.resize) == 2 and any(have < want for have, want in zip(recipe.resize, recipe.crop, strict=False)):
            raise self._error(f"a crop of {recipe.crop} is larger than the resized image, {recipe.resize}")
        if not all(MIN_SIDE <= side <= MAX_SIDE for side in recipe.size):
            raise self._error(f"the network would see {recipe.size} pixels; {MIN_SIDE} to {MAX_SIDE} are taken")
        if 0 in recipe.std:
            raise self._error("std has a 0, by which pixels would be divided")

    def choice(self, value: object, allowed: Any) -> Any:
        """`value`, one of the literals `allowed`."""
        if value not in get_args(allowed):
            raise self._error(f"{value!r:.40} is none of {', '.join(get_args(allowed))}")
        return value

    def _resize(self, value: object) -> tuple[int, ...]:
        return self._pair(value, "resize") if isinstance(value, list) else (self._side(value, "resize"),)

    def _pair(self, value: object, key: str) -> tuple[int, int]:
        sides = value if isinstance(value, list) else [value, value]
        if len(sides) != 2:
            raise self._error(f"{key} is {value!r:.40}; it must be a number, or [height, width]")
        return self._side(sides[0], key), self._side(sides[1], key)

    def _side(self, value: object, key: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 2 * MAX_SIDE:
            raise self._error(f"{key} is {value!r:.40}; it must be a number of pixels, 1 to {2 * MAX_SIDE}")
        return value

    def _three(self, value: object, key: str) -> tuple[float, float, float]:
        numbers = value if isinstance(value, list) else [value] * 3
        if len(numbers) != 3:
            raise self._error(f"{key} is {value!r:.60}; it must be three numbers, of red, green and blue")
        return cast("tuple[float, float, float]", tuple(self._number(number, key) for number in numbers))

    def _number(self, value: object, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._error(f"{key} is {value!r:.40}; it must be a number")
        return float(value)

    def _error(self, problem: str) -> WeightsError:
        return WeightsError(f"{self._where}: {problem}.", remedy=_REMEDY)
