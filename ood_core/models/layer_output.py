"""A place in a network whose tensor is a layer of its own, for what no block returns alone."""

from __future__ import annotations

from torch import nn

__all__ = ["LayerOutput"]


class LayerOutput(nn.Identity):
    """Passes its input on; `find_layers` lists it as it lists blocks."""

    is_layer = True
