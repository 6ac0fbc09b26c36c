"""What tracing finds in a network, or what a network that cannot be traced says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from ood_core.models.head import ClassifierHead
    from ood_core.models.layer_info import LayerInfo

__all__ = ["BYTES_ONLY", "FoundNetwork", "KnowsItself"]

BYTES_ONLY = (
    "the network takes pixel values of 0 to 255 as bytes and normalises them itself: leave mean "
    "and std out of [preprocessing]."
)
"""What is said where images come normalised to a network that `takes_bytes`."""


@dataclass(frozen=True, eq=False)
class FoundNetwork:
    """Head and layers of a network.

    Attributes
    ----------
    head_name : path of the head's module, whose input is the penultimate activation; "" where the
        network has no head: then its output is.
    head : the head as arrays; None without one.
    layers : useful layers in order of depth; the last is PENULTIMATE.
    no_gradients : why nothing can be differentiated through it; "" where it can.
    takes_bytes : whether it takes pixel values of 0 to 255 and normalises them itself: then images
        must come as values of 0 to 1.
    """

    head_name: str
    head: ClassifierHead | None
    layers: tuple[LayerInfo, ...]
    no_gradients: str = ""
    takes_bytes: bool = False


@runtime_checkable
class KnowsItself(Protocol):
    """A module that autograd does not see into: it says what tracing would find.

    Every layer that it names is a submodule whose output is that layer's activation: an
    `nn.Identity` through which the forward pass sends the tensor will do.
    """

    def ood_found_network(self, input_shape: tuple[int, int, int], headless: bool) -> FoundNetwork:
        """Head and layers for images of this (channels, height, width).

        Raises
        ------
        ModelError
            When the network cannot take such images, or has no head and `headless` is false.
        """
        ...
