"""Every torchvision classifier: `torchvision:resnet50` with its weights and their transforms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ood_core.errors import ModelError, did_you_mean
from ood_core.experiments.experiment import Preprocessing
from ood_core.models.published_weights import PublishedWeights

__all__ = ["PREFIX", "adapt", "build", "names", "published", "weight_names"]

PREFIX = "torchvision:"
_INCEPTIONS = ("googlenet", "inception_v3")
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")


def names() -> list[str]:
    """Names of torchvision's image classifiers."""
    from torchvision import models

    found: list[str] = models.list_models(module=models)
    return found


def weight_names(name: str) -> list[str]:
    """Names of the published weights, the best last."""
    from torchvision import models

    _check(name)
    return [entry.name for entry in models.get_model_weights(name)]


def build(name: str, num_classes: int | None, weights: str | None = None) -> nn.Module:
    """The network with untrained weights, in the form that the named published weights need.

    Auxiliary classifiers of the inception networks are left out: only training uses them.
    """
    from torchvision import models

    _check(name)
    options: dict[str, Any] = {}
    if name in _INCEPTIONS:
        options = {"init_weights": False, "aux_logits": False, "transform_input": bool(weights)}
    if weights is not None:
        meta = _enum(name, weights).meta
        options["num_classes"] = len(meta["categories"])
        if name.startswith("vit_"):
            options["image_size"] = meta["min_size"][0]
    if num_classes:
        options["num_classes"] = num_classes
    network: nn.Module = models.get_model(name, weights=None, **options)
    return network


def adapt(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names as today's torchvision has them: old DenseNet names, no auxiliary classifiers."""
    kept = {k: v for k, v in state.items() if not k.startswith(("aux1.", "aux2.", "AuxLogits."))}
    return {_OLD_DENSENET.sub(r"\1\2", k): v for k, v in kept.items()}


def published(name: str, weights: str | None) -> PublishedWeights:
    """File, transforms and class names of weights; of the default ones for None."""
    from torchvision.transforms import InterpolationMode

    _check(name)
    entry = _enum(name, weights)
    transform = entry.transforms()
    methods = {InterpolationMode.BILINEAR: "bilinear", InterpolationMode.BICUBIC: "bicubic"}
    return PublishedWeights(
        url=entry.url,
        cached=f"hub/checkpoints/{entry.url.rpartition('/')[2]}",
        size=round(entry.meta.get("_file_size", 0) * 2**20),
        preprocessing=Preprocessing(
            resize=transform.resize_size[0],
            center_crop=transform.crop_size[0],
            mean=tuple(transform.mean),
            std=tuple(transform.std),
            interpolation=methods[transform.interpolation],
        ),
        class_names=tuple(entry.meta["categories"]),
    )


def _check(name: str) -> None:
    if name not in names():
        raise ModelError(f"torchvision has no classifier {name!r}. {did_you_mean(name, names())}")


def _enum(name: str, weights: str | None) -> Any:
    from torchvision import models

    known = models.get_model_weights(name)
    if weights is None:
        return known.DEFAULT
    if weights not in known.__members__:
        raise ModelError(
            f"torchvision:{name} has no weights {weights!r}. "
            f"{did_you_mean(weights, known.__members__)}"
        )
    return known[weights]
