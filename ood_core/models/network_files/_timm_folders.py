"""timm's folders: `architecture`, `model_args` and `pretrained_cfg` in config.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.errors import ModelError
from ood_core.experiments.experiment import Preprocessing
from ood_core.models.fitting import load_weights, randomise

if TYPE_CHECKING:
    from torch import nn

__all__ = ["open_timm_folder", "timm_class_names", "timm_preprocessing"]

_FORM = ("input_size", "fixed_input_size", "global_pool", "pool_size", "first_conv", "classifier")
"""Of `pretrained_cfg`, what decides the network's form; the rest says where weights come from."""
_NOT_ARGUMENTS = ("pretrained", "checkpoint", "cache_dir", "features_only", "script")
"""Beginnings of arguments that fetch or read weights, or make another kind of network."""
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def open_timm_folder(
    folder: Path, config: Mapping[str, Any], weights: Path, headless: bool, part: str | None
) -> nn.Module:
    """The network with its weights; without its head where it is to be `headless`.

    Raises
    ------
    ModelError
        When timm is missing, knows no such network, or the weights do not fit.
    """
    try:
        import timm
    except ImportError as error:
        raise ModelError(
            f"{folder.name} is a folder of timm, which is not installed: run `pip install timm`."
        ) from error
    name = str(config["architecture"]).partition(".")[0]
    if not timm.is_model(name):
        raise ModelError(f"the config.json of {folder.name} names {name!r}, which timm lacks.")
    form = {key: value for key, value in _pretrained(config).items() if key in _FORM}
    given = config.get("model_args")
    arguments = dict(given) if isinstance(given, Mapping) else {}
    fetching = sorted(key for key in arguments if key.startswith(_NOT_ARGUMENTS))
    if fetching:
        raise ModelError(
            f"model_args in the config.json of {folder.name} may not hold {', '.join(fetching)}."
        )
    classes = _classes(config)
    if classes is not None:
        form["num_classes"] = classes

    def built() -> nn.Module:
        network: nn.Module = timm.create_model(
            name, pretrained=False, pretrained_cfg=form, **arguments
        )
        return network

    try:
        network: Any = randomise(built, seed=0)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise ModelError(f"timm cannot build {name!r} from {folder.name}: {error}.") from error
    load_weights(network, weights, f"timm:{name}", None, part)
    if headless and network.num_classes:
        network.reset_classifier(0)
    built_network: nn.Module = network
    return built_network


def timm_preprocessing(config: Mapping[str, Any]) -> Preprocessing:
    """As timm's `resolve_data_config`: enlarged by 1 / crop_pct before the centre crop."""
    given = _pretrained(config)
    channels, height, width = map(int, given.get("input_size") or (3, 224, 224))
    if height != width:
        raise ModelError(
            f"the network takes images of {height} x {width}: give [preprocessing] and squares."
        )
    mean, std = (
        tuple(map(float, given.get(k) or d))
        for k, d in zip(("mean", "std"), _IMAGENET, strict=True)
    )
    side = int(height / float(given.get("crop_pct") or 0.875))
    return Preprocessing(
        resize=(side, side) if given.get("crop_mode") == "squash" else side,
        center_crop=height,
        mean=mean * channels if len(mean) == 1 else mean,
        std=std * channels if len(std) == 1 else std,
        interpolation=given.get("interpolation") or "bicubic",
        mode="L" if channels == 1 else "RGB",
    )


def timm_class_names(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """`label_names` in order, or None."""
    found = config.get("label_names") or _pretrained(config).get("label_names")
    names = found if isinstance(found, list) else []
    return tuple(map(str, names)) if names and len(set(map(str, names))) == len(names) else None


def _pretrained(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """`pretrained_cfg`; folders of timm 0.8 and before have its keys at the top."""
    found = config.get("pretrained_cfg")
    return found if isinstance(found, Mapping) else config


def _classes(config: Mapping[str, Any]) -> int | None:
    found = config.get("num_classes", _pretrained(config).get("num_classes"))
    return found if type(found) is int else None
