"""A network of transformers as a module from images to one tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ood_core.errors import ModelError
from ood_core.models.layer_output import LayerOutput
from ood_core.models.network_files._image_processors import swaps_channels
from ood_core.models.network_files._transformers_classes import Chosen

__all__ = ["network_with_output"]


class TransformersNetwork(nn.Module):
    """Logits (n, classes) or features (n, d) of images.

    Parameters
    ----------
    network : of transformers.
    output : see `Chosen`.
    swapped : whether it takes blue, green, red.

    Attributes
    ----------
    temperature : what a network of images and texts divides its cosines by, as it was trained.
    """

    def __init__(self, network: nn.Module, output: str, swapped: bool) -> None:
        super().__init__()
        self.network = network
        self.output = output
        self.swapped = swapped
        scale = getattr(network, "logit_scale", None)
        self.temperature = None if scale is None else float(torch.exp(-scale.detach()).mean())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The network's output for images (n, channels, height, width)."""
        given = images.flip(1) if self.swapped else images
        network: Any = self.network
        if self.output == "image features":
            found = network.get_image_features(pixel_values=given)
            return _tensor(found if torch.is_tensor(found) else found.pooler_output)
        found = network(pixel_values=given)
        if self.output != "pooled":
            return _tensor(found.logits)
        projected = getattr(found, "image_embeds", None)
        pooled = getattr(found, "pooler_output", None)
        return _tensor(pooled if projected is None else projected)


class DistilledNetwork(nn.Module):
    """A network with two heads whose logits are averaged, as one head of both features.

    `z = (W₁h₁ + b₁ + W₂h₂ + b₂) / 2` is a linear map of `(h₁, h₂)`: DeiT and LeViT with their
    teacher's head.
    """

    def __init__(self, network: nn.Module, swapped: bool) -> None:
        super().__init__()
        first, second = (_taken(network, name) for name in _two_heads(network))
        self.network = network
        self.swapped = swapped
        self.head = nn.Linear(first.in_features + second.in_features, first.out_features)
        with torch.no_grad():
            self.head.weight.copy_(torch.cat([first.weight, second.weight], 1) / 2)
            self.head.bias.copy_((first.bias + second.bias) / 2)
        self.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes)."""
        found: Any = self.network(pixel_values=images.flip(1) if self.swapped else images)
        both = torch.cat([found.cls_logits, found.distillation_logits], 1)
        logits: torch.Tensor = self.head(both)
        return logits


def network_with_output(network: nn.Module, chosen: Chosen, folder: Path) -> nn.Module:
    """The network of a folder as a module from images to logits or features."""
    swapped = swaps_channels(folder)
    _show_blocks(network)
    if chosen.output == "logits" and len(_two_heads(network)) == 2:
        return DistilledNetwork(network, swapped)
    if chosen.output == "image features":
        for name in ("text_model", "text_projection"):  # nothing of it is ever computed
            if isinstance(getattr(network, name, None), nn.Module):
                delattr(network, name)
    return TransformersNetwork(network, chosen.output, swapped)


def _show_blocks(network: nn.Module) -> None:
    """Let the first of several tensors that a block returns, as Swin's do, be a layer."""

    def through(block: Any, _inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple) and output and torch.is_tensor(output[0]):
            return (block.layer_output(output[0]), *output[1:])
        return None

    lists = [m for m in network.modules() if isinstance(m, nn.ModuleList)]
    for block in {id(block): block for blocks in lists for block in blocks}.values():
        block.layer_output = LayerOutput()
        block.register_forward_hook(through)


def _two_heads(network: nn.Module) -> tuple[str, ...]:
    """Names of the two linear layers of a network `…WithTeacher`; none of any other."""
    if not type(network).__name__.endswith("WithTeacher"):
        return ()
    classes = getattr(network.config, "num_labels", None)
    found = (
        (name, m)
        for name, m in network.named_modules()
        if "." not in name or (name.count(".") == 1 and name.startswith("classifier"))
    )
    return tuple(n for n, m in found if isinstance(m, nn.Linear) and m.out_features == classes)


def _taken(network: nn.Module, name: str) -> nn.Linear:
    """The linear layer of that name; an identity takes its place."""
    parent, _, last = name.rpartition(".")
    head = network.get_submodule(name)
    assert isinstance(head, nn.Linear)
    setattr(network.get_submodule(parent), last, nn.Identity())
    return head


def _tensor(found: Any) -> torch.Tensor:
    if not torch.is_tensor(found):
        raise ModelError(
            "the network gives no pooled features: export the part that does (torch.export, ONNX)."
        )
    return found.flatten(1)
