"""Reading and replacing activations with hooks that are always removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ood_core.models.layers import PENULTIMATE, LayerInfo, find_layer

if TYPE_CHECKING:
    import torch

    from ood_core.models.loaded import LoadedModel

__all__ = ["capture", "tail"]


@contextmanager
def capture(
    model: LoadedModel, layers: Sequence[LayerInfo] | None = None
) -> Iterator[dict[str, torch.Tensor]]:
    """Within the block, each forward pass fills the mapping layer name -> raw tensor.

    Bring a raw tensor to (n, channels, positions) with `to_positions`. Tensors are those of the
    network itself: copy what must outlive the pass, since later layers may write into them.
    The hooks go when the block is left, also by an exception.

    Parameters
    ----------
    model : what `load_model` returned.
    layers : which of `model.layers`; all of them for None.
    """
    seen: dict[str, torch.Tensor] = {}
    handles: list[Any] = []
    try:
        for layer in model.layers if layers is None else layers:
            handles.append(_read(model, layer, seen))
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def tail(model: LoadedModel, layer: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """Function from a layer's raw activation (n, *shape) to logits (n, classes).

    The network runs on blank images while a hook puts the given tensor in place of the layer's
    output. Every listed layer is one that all paths from image to logits go through, so nothing
    else of those images reaches the logits. Differentiable in the activation.

    Raises
    ------
    ModelError
        When the model has no such layer.
    """
    import torch

    info = find_layer(model.layers, layer)

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


def _read(model: LoadedModel, layer: LayerInfo, seen: dict[str, torch.Tensor]) -> Any:
    if layer.name == PENULTIMATE:

        def before(_module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
            seen[PENULTIMATE] = inputs[0]

        return model.head_module.register_forward_pre_hook(before)

    def after(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
        seen[layer.name] = output

    return model.module.get_submodule(layer.name).register_forward_hook(after)


def _replace(model: LoadedModel, layer: LayerInfo, activation: torch.Tensor) -> Any:
    if layer.name == PENULTIMATE:

        def before(_module: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            return (_as_head_input(activation, inputs[0]), *inputs[1:])

        return model.head_module.register_forward_pre_hook(before)
    return model.module.get_submodule(layer.name).register_forward_hook(
        lambda _module, _inputs, _output: activation
    )


def _as_head_input(activation: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """Pooled features (n, d) in the shape the head takes: (n, d, 1, 1) for a convolution.

    A head that averages over positions gets the same features at every position.
    """
    if activation.ndim == expected.ndim:
        return activation
    if activation.shape[1] == expected.shape[-1] and activation.shape[1] != expected.shape[1]:
        return activation[:, None, :].expand(expected.shape)
    return activation.reshape(*activation.shape, *(1,) * (expected.ndim - 2)).expand(expected.shape)
