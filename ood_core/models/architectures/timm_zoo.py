"""Every timm classifier: `timm:convnext_tiny`, where the optional package timm is installed."""

from __future__ import annotations

from typing import Any

from torch import nn

from ood_core.errors import ModelError, did_you_mean
from ood_core.experiments.experiment import Preprocessing
from ood_core.models.published_weights import PublishedWeights

__all__ = ["PREFIX", "build", "names", "published", "weight_names"]

PREFIX = "timm:"


def names() -> list[str]:
    """Names of timm's models."""
    found: list[str] = _timm().list_models()
    return found


def weight_names(name: str) -> list[str]:
    """Tags of the pretrained weights."""
    timm = _timm()
    _check(name)
    return [full.partition(".")[2] for full in timm.list_pretrained(f"{name}.*")]


def build(name: str, num_classes: int | None, weights: str | None = None) -> nn.Module:
    """The network with untrained weights; `weights` is the tag of pretrained ones ("a1_in1k")."""
    timm = _timm()
    _check(name)
    options = {} if num_classes is None else {"num_classes": num_classes}
    full = f"{name}.{weights}" if weights else name
    network: nn.Module = timm.create_model(full, pretrained=False, **options)
    if num_classes is None and not getattr(network, "num_classes", 0):
        raise ModelError(
            f"timm:{name} has no classifier of its own: set num_classes = 0, or the number of "
            "classes of a checkpoint that has one."
        )
    return network


def published(name: str, weights: str | None) -> PublishedWeights:
    """File and transforms of pretrained weights; of the default ones for None."""
    timm = _timm()
    _check(name)
    tags = timm.list_pretrained(f"{name}.*")
    known = {full.partition(".")[2] for full in tags}
    if weights is not None and weights not in known:
        raise ModelError(f"timm:{name} has no weights {weights!r}. {did_you_mean(weights, known)}")
    full = f"{name}.{weights}" if weights else name
    config = timm.models.get_pretrained_cfg(full)
    data = timm.data.resolve_data_config(pretrained_cfg=config.to_dict())
    repository = config.hf_hub_id or ""
    file = f"models--{repository.replace('/', '--')}/snapshots/*/model.safetensors"
    return PublishedWeights(
        url=f"https://huggingface.co/{repository}/resolve/main/model.safetensors"
        if repository
        else config.url,
        cached=file if repository else f"hub/checkpoints/{config.url.rpartition('/')[2]}",
        preprocessing=_preprocessing(data),
    )


def _preprocessing(data: dict[str, Any]) -> Preprocessing:
    """timm enlarges by 1 / crop_pct before its centre crop."""
    size = data["input_size"][-1]
    return Preprocessing(
        resize=int(size / data["crop_pct"]),
        center_crop=size,
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        interpolation=data["interpolation"],
        mode="L" if data["input_size"][0] == 1 else "RGB",
    )


def _check(name: str) -> None:
    if not _timm().is_model(name):
        raise ModelError(f"timm has no model {name!r}. {did_you_mean(name, names())[:400]}")


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ModelError(
            "architectures that start with 'timm:' need the package timm, which is not "
            "installed: run `pip install timm`, or use a torchvision architecture."
        ) from error
    return timm
