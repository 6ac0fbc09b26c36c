"""What is recorded of a layer's output instead of the output: a few cheap, exact reductions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["layer_statistics"]


def layer_statistics(units: torch.Tensor) -> dict[str, torch.Tensor]:
    """Statistics of n activations of shape (n, c, p): channels x positions.

    Returns
    -------
    pooled (n, c) float32, active (n, c) number of positions > 0, l1 and l2 (n,) float64,
    l0 and negatives (n,) int64, active_counts (c * p,) number of images where a unit is > 0.
    """
    import torch

    units = units.float()
    positive = units > 0
    active = positive.sum(2)
    wide = units.double()
    return {
        "pooled": units.mean(2),
        "active": active,
        "l1": wide.abs().sum((1, 2)),
        "l2": wide.square().sum((1, 2)).sqrt(),
        "l0": active.sum(1),
        "negatives": (units < 0).sum((1, 2)),
        "active_counts": positive.sum(0, dtype=torch.int64).flatten(),
    }
