"""What a layer is to the rest of the program, and its output as channels x positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ood_core.errors import ModelError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

__all__ = ["PENULTIMATE", "LayerInfo", "find_layer", "to_positions"]

PENULTIMATE = "penultimate"
"""Name of the layer that is the input of the head."""


@dataclass(frozen=True)
class LayerInfo:
    """One layer whose activation can be recorded.

    Parameters
    ----------
    name : path of the module whose output it is; PENULTIMATE for the input of the head.
    shape : shape of one image's activation, as the module gives it: (342, 8, 8), (197, 768).
    kind : "map" (channels x height x width), "tokens" (token by token) or "vector".
    signed : whether activations can be negative, so that norms count values that L0 does not.
    channel_axis : where in `shape` the channels are: 0 for NCHW maps, the last for tokens and
        channels-last maps (Swin); -1 where the head takes tokens.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    signed: bool = False
    channel_axis: int = 0

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.shape[self.channel_axis]

    @property
    def positions(self) -> int:
        """Number of positions per channel: pixels of a map, tokens of a sequence, 1 of a vector."""
        total = 1
        for size in self.shape:
            total *= size
        return total // self.channels


def to_positions(output: torch.Tensor, layer: LayerInfo) -> torch.Tensor:
    """Bring a layer's raw output for n images to shape (n, channels, positions).

    For PENULTIMATE the raw tensor is the input of the head; where that has positions (1x1
    convolutions, heads that run on every token) it is averaged over them: (n, channels, 1).

    Raises
    ------
    ModelError
        When the tensor does not have the layer's number of axes or channels.
    """
    if layer.name == PENULTIMATE:
        if output.ndim == 2:
            return output.unsqueeze(2)
        channels_first = output.movedim(-1, 1) if layer.channel_axis == -1 else output
        return channels_first.flatten(2).mean(2, keepdim=True)
    fits = output.ndim == len(layer.shape) + 1
    if not fits or output.shape[1 + layer.channel_axis] != layer.channels:
        raise ModelError(
            f"layer {layer.name!r} gave shape {tuple(output.shape)}; expected (images, "
            f"{', '.join(map(str, layer.shape))}). Use the same image size for every image."
        )
    if output.ndim == 2:
        return output.unsqueeze(2)
    return output.movedim(1 + layer.channel_axis, 1).flatten(2)


def find_layer(layers: Iterable[LayerInfo], name: str) -> LayerInfo:
    """The layer of this name.

    Raises
    ------
    ModelError
        When there is none, with the names there are.
    """
    known = {layer.name: layer for layer in layers}
    if name not in known:
        raise ModelError(f"unknown layer {name!r}. {did_you_mean(name, known)}")
    return known[name]
