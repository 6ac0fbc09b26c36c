"""Norm, NAN, sparsity and entropy layer by layer: which layer separates, and why."""

from ood_core.layers.decomposition import NanApart, nan_apart
from ood_core.layers.depth import (
    LAYER_SCORES,
    DepthSummary,
    best_layers,
    layer_metrics,
    mean_over_sets,
)
from ood_core.layers.quantities import POOLS, Quantities, quantities
from ood_core.layers.units import (
    ActiveUnits,
    activation_entropy,
    active_units,
    entropy_by_layer,
    entropy_table,
    neuron_entropy,
)

__all__ = [
    "LAYER_SCORES",
    "POOLS",
    "ActiveUnits",
    "DepthSummary",
    "NanApart",
    "Quantities",
    "activation_entropy",
    "active_units",
    "best_layers",
    "entropy_by_layer",
    "entropy_table",
    "layer_metrics",
    "mean_over_sets",
    "nan_apart",
    "neuron_entropy",
    "quantities",
]
