"""From a layer's activation to the logits: the rest of the network as a function."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ood_core.errors import ModelError
from ood_core.models.layer_info import PENULTIMATE, LayerInfo, find_layer

if TYPE_CHECKING:
    import torch

    from ood_core.models.loaded import LoadedModel

__all__ = ["tail"]


def tail(model: LoadedModel, layer: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """Function from a layer's raw activation (n, *shape) to logits (n, classes).

    The network runs on blank images while a hook puts the given tensor in place of the layer's
    output. Every listed layer is one that all paths from image to logits go through, so nothing
    else of those images reaches the logits. Differentiable in the activation. The hook goes when
    the pass ends, also by an exception, and leaves passes of other threads alone.

    Parameters
    ----------
    model : what `load_model` returned.
    layer : a name in `model.layers`; for PENULTIMATE the activation has shape (n, features).

    Raises
    ------
    ModelError
        When the model has no such layer, no head, or cannot be differentiated.
    """
    import torch

    info = find_layer(model.layers, layer)
    if model.head is None:
        raise ModelError("the network has no head: there are no logits to go on to.")
    if model.no_gradients:
        raise ModelError(model.no_gradients)

    def run(activation: torch.Tensor) -> torch.Tensor:
        shape = (len(activation), *model.input_shape)
        blank = torch.zeros(shape, dtype=activation.dtype, device=activation.device)
        handle = _replace(model, info, activation)
        try:
            logits: torch.Tensor = model.module(blank)
        finally:
            handle.remove()
        return logits

    return run


def _replace(model: LoadedModel, layer: LayerInfo, activation: torch.Tensor) -> Any:
    owner = threading.get_ident()
    # Networks may write into a layer's output (in-place ReLU); the caller's tensor stays as it is.
    given = activation.clone()

    def before(_module: Any, inputs: tuple[torch.Tensor, ...]) -> Any:
        if threading.get_ident() != owner:
            return None
        return (_as_head_input(given, inputs[0], layer), *inputs[1:])

    def after(_module: Any, _inputs: Any, _output: Any) -> Any:
        return given if threading.get_ident() == owner else None

    if layer.name == PENULTIMATE:
        return model.head_module.register_forward_pre_hook(before)
    return model.module.get_submodule(layer.name).register_forward_hook(after)


def _as_head_input(
    features: torch.Tensor, expected: torch.Tensor, layer: LayerInfo
) -> torch.Tensor:
    """Pooled features (n, d) in the shape that the head takes: the same at every position."""
    if features.ndim == expected.ndim:
        return features
    ones = (1,) * (expected.ndim - 2)
    tokens = layer.channel_axis == -1
    shape = (len(features), *ones, -1) if tokens else (*features.shape, *ones)
    return features.reshape(shape).expand_as(expected)
