"""Hooks on the layers of a model: there for one forward pass, gone whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ood_core.activations.record import PENULTIMATE

if TYPE_CHECKING:
    import torch

    from ood_core.models import LayerInfo, LoadedModel

__all__ = ["captured"]


@contextmanager
def captured(
    loaded: LoadedModel,
    layers: Sequence[LayerInfo],
    reduce: Callable[[torch.Tensor, LayerInfo], Any],
) -> Iterator[dict[str, Any]]:
    """Collect `reduce(output, layer)` of each layer while the block runs.

    The output is reduced inside the hook, so no map outlives its layer. Only forward passes of
    the calling thread are collected: other threads may use the same model meanwhile. A module
    that runs several times in a pass counts with its last output. Hooks are removed in
    `finally`, also when the forward pass raises.
    """
    found: dict[str, Any] = {}
    owner = threading.get_ident()
    handles: list[Any] = []

    def collect(layer: LayerInfo, tensor: torch.Tensor) -> None:
        if threading.get_ident() == owner:
            found[layer.name] = reduce(tensor, layer)

    try:
        for layer in layers:
            handles.append(_hook(loaded, layer, collect))
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _hook(
    loaded: LoadedModel, layer: LayerInfo, collect: Callable[[LayerInfo, torch.Tensor], None]
) -> Any:
    if layer.name == PENULTIMATE and loaded.head is None:
        return loaded.module.register_forward_hook(
            lambda _module, _inputs, output: collect(layer, output)
        )
    if layer.name == PENULTIMATE:
        return loaded.head_module.register_forward_pre_hook(
            lambda _module, inputs: collect(layer, inputs[0])
        )
    return loaded.module.get_submodule(layer.name).register_forward_hook(
        lambda _module, _inputs, output: collect(layer, output)
    )
