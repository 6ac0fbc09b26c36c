"""The transform that preprocessor_config.json states, read without transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ood_core.errors import ModelError
from ood_core.experiments.experiment import Preprocessing
from ood_core.experiments.model_folders import folder_json

__all__ = ["processor_values", "stated_preprocessing", "swaps_channels"]

_FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box")
"""Names of Pillow's filters 0 to 4, which transformers writes as numbers; 5 is Hamming's."""
_HALF = (0.5, 0.5, 0.5)
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_PLAIN: dict[str, Any] = {
    "square": True, "size": 224, "do_center_crop": False, "crop_size": 224, "resample": 2,
    "image_mean": _HALF, "image_std": _HALF,
}  # fmt: skip
"""What a file leaves out means this; `square`: whether a size that is one number is of both
sides, or of the shorter one."""


def _shorter(size: int, resample: int, statistics: Any = (_HALF, _HALF)) -> dict[str, Any]:
    mean, std = statistics
    return {
        "square": False, "size": size, "do_center_crop": True, "resample": resample,
        "image_mean": mean, "image_std": std,
    }  # fmt: skip


_PROCESSORS: dict[str, dict[str, Any]] = {
    "ViT": {},
    "DeiT": {"size": 256, "do_center_crop": True, "resample": 3},
    "Beit": {"resample": 3},
    "Siglip": {"resample": 3},
    "Pvt": {"resample": 3, "image_mean": _IMAGENET[0], "image_std": _IMAGENET[1]},
    "DINOv3ViT": {"image_mean": _IMAGENET[0], "image_std": _IMAGENET[1]},
    "Segformer": {"size": 512, "image_mean": _IMAGENET[0], "image_std": _IMAGENET[1]},
    "EfficientNet": {"size": 346, "crop_size": 289, "resample": 3},
    "CLIP": _shorter(224, 3, _CLIP),
    "ChineseCLIP": _shorter(224, 3, _CLIP),
    "Bit": _shorter(224, 3, _CLIP),
    "Levit": _shorter(224, 3, _IMAGENET),
    "PoolFormer": {**_shorter(224, 3, _IMAGENET), "crop_pct": 0.9},
    "MobileNetV1": _shorter(256, 2),
    "MobileNetV2": _shorter(256, 2),
    "MobileViT": {**_shorter(224, 3), "crop_size": 256, "do_normalize": False},
    "ConvNext": {**_shorter(384, 3), "do_center_crop": False, "crop_pct": 0.875},
}
"""transformers' image processors whose steps are ours, by name, and where they differ."""


def processor_values(folder: Path) -> Mapping[str, Any]:
    """What the folder says of its image processor; empty where it says nothing."""
    found = folder_json(folder / "preprocessor_config.json")
    if not found:
        inner = folder_json(folder / "processor_config.json").get("image_processor")
        found = inner if isinstance(inner, Mapping) else {}
    return found


def swaps_channels(folder: Path) -> bool:
    """Whether the network was trained on blue, green, red."""
    values = processor_values(folder)
    return bool(values.get("do_flip_channel_order", _kind(values) == "MobileViT" and bool(values)))


def stated_preprocessing(folder: Path, channels: int = 3) -> Preprocessing | None:
    """The transform of the folder's image processor, or None where it states none.

    transformers gives `(p f - mean) / std` for pixels p of 0 to 255, ours `(p / 255 - m) / s`:
    m = mean / (255 f), s = std / (255 f).

    Raises
    ------
    ModelError
        When it has steps that an experiment's preprocessing cannot have.
    """
    values = processor_values(folder)
    kind = _kind(values)
    if not values or (kind not in _PROCESSORS and "size" not in values):
        return None
    if values.get("auto_map"):
        raise _no_such(folder, "is a processor with code of its own (auto_map)")
    given = _PLAIN | _PROCESSORS.get(kind, {}) | {k: v for k, v in values.items() if v is not None}
    try:
        resize, crop = _sides(given, kind, folder)
        mean, std = _statistics(given, kind, channels)
    except (TypeError, ValueError, KeyError, ZeroDivisionError) as error:
        raise _no_such(folder, f"has values that cannot be read ({error})") from error
    return Preprocessing(
        resize=resize,
        center_crop=crop,
        mean=mean,
        std=std,
        interpolation=_interpolation(given["resample"], folder),
        mode="L" if channels == 1 else "RGB",
    )


def _kind(values: Mapping[str, Any]) -> str:
    """`ViT` of ViTImageProcessor, ViTImageProcessorFast and ViTFeatureExtractor."""
    named = values.get("image_processor_type") or values.get("feature_extractor_type") or "ViT"
    return re.sub(r"(ImageProcessor|FeatureExtractor)(Fast|Pil)?$", "", str(named))


def _sides(
    given: Mapping[str, Any], kind: str, folder: Path
) -> tuple[int | tuple[int, int] | None, int | None]:
    """Resize and centre crop: of the shorter side one number, of both sides two."""
    shorter, both = _size(given["size"], bool(given["square"]), folder)
    crop = _square(given["crop_size"], folder) if given["do_center_crop"] else None
    if not given.get("do_resize", True):
        return None, crop
    if both is not None:
        return both, None if both == (crop, crop) else crop
    assert shorter is not None
    if kind == "Levit":
        return int(256 / 224 * shorter), crop
    if kind == "ConvNext":
        if shorter >= 384:
            return (shorter, shorter), None
        return int(shorter / given["crop_pct"]), shorter
    if kind == "PoolFormer":
        return int(shorter / given["crop_pct"]), crop
    return shorter, crop


def _size(value: Any, square: bool, folder: Path) -> tuple[int | None, tuple[int, int] | None]:
    if isinstance(value, Mapping):
        if {"height", "width"} <= set(value):
            return None, (int(value["height"]), int(value["width"]))
        if set(value) == {"shortest_edge"}:
            return int(value["shortest_edge"]), None
        raise _no_such(folder, f"resizes to {dict(value)}")
    if isinstance(value, list | tuple):
        height, width = value
        return None, (int(height), int(width))
    return (None, (int(value), int(value))) if square else (int(value), None)


def _square(value: Any, folder: Path) -> int:
    if isinstance(value, Mapping):
        value = value["height"], value["width"]
    sides = set(value) if isinstance(value, list | tuple) else {value}
    if len(sides) != 1:
        raise _no_such(folder, f"crops to {value}, which is no square")
    return int(sides.pop())


def _statistics(
    given: Mapping[str, Any], kind: str, channels: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std of pixels of 0 to 1."""
    mean: tuple[float, ...] = (0.0,) * channels
    std: tuple[float, ...] = (1.0,) * channels
    if given.get("do_normalize", True):
        mean, std = (
            tuple(map(float, v)) if isinstance(v, list | tuple) else (float(v),) * channels
            for v in (given["image_mean"], given["image_std"])
        )
        if kind == "EfficientNet" and given.get("include_top", True):
            std = tuple(v * v for v in std)  # it divides by it twice
            mean = tuple(mean)
    if not given.get("do_rescale", True):
        factor = 255.0
    else:
        factor = 255 * float(given.get("rescale_factor", 1 / 255))
        if given.get("rescale_offset"):
            mean = tuple(v + 1 for v in mean)
    if abs(factor - 1) < 1e-9:  # 0.00392156862745098 is 1/255 as written
        return mean, std
    return tuple(v / factor for v in mean), tuple(v / factor for v in std)


def _interpolation(value: Any, folder: Path) -> str:
    if isinstance(value, int) and 0 <= value < len(_FILTERS):
        return _FILTERS[value]
    if isinstance(value, str) and value.lower() in _FILTERS:
        return value.lower()
    raise _no_such(folder, f"resamples with {value!r}")


def _no_such(folder: Path, what: str) -> ModelError:
    return ModelError(
        f"the preprocessor_config.json of {folder.name} {what}, which an experiment's "
        "preprocessing cannot do. Give [preprocessing] with resize, center_crop, mean and std."
    )
