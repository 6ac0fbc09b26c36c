"""Head and layers of a network that autograd sees into, found by one traced forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ood_core.models.found_network import FoundNetwork
from ood_core.models.head import ClassifierHead
from ood_core.models.layer_search import find_layers
from ood_core.models.tracing import find_head, trace

if TYPE_CHECKING:
    from torch import nn

__all__ = ["inspect_traced"]


def inspect_traced(
    module: nn.Module, shape: tuple[int, int, int], headless: bool = False
) -> FoundNetwork:
    """Head and useful layers of a module whose submodules hooks see.

    Parameters
    ----------
    module : network in eval mode.
    shape : (channels, height, width) of its images.
    headless : whether its output is features rather than logits.

    Raises
    ------
    ModelError
        When the network cannot take such images, or has no linear head and is not `headless`.
    """
    traced = trace(module, shape, headless)
    if headless:
        return FoundNetwork("", None, find_layers(traced, None))
    name = find_head(traced)
    linear: Any = module.get_submodule(name)
    weight = linear.weight.detach().double().flatten(1).cpu().numpy()
    bias = None if linear.bias is None else linear.bias.detach().double().cpu().numpy()
    head = ClassifierHead(weight, bias, temperature=getattr(linear, "temperature", None))
    return FoundNetwork(name, head, find_layers(traced, name))
