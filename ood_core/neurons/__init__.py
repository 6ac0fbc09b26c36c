"""Neurons of the penultimate layer: who they speak for, what LINe keeps, life without them."""

from ood_core.neurons.ablation import accuracy_effect, drop_neurons, rates
from ood_core.neurons.activity import (
    NeuronDrill,
    activity,
    drill,
    mean_activations,
    neuron_column,
    share_active,
    strongest_first,
    top_images,
)
from ood_core.neurons.heatmap import CELLS, ContributionView, contribution_table, contribution_view
from ood_core.neurons.line_image import (
    ImageReceipt,
    image_receipt,
    summary_of_receipt,
)
from ood_core.neurons.line_lab import LineLab
from ood_core.neurons.line_result import LineResult
from ood_core.neurons.neuron_sets import drop_set, excited_by_ood, parse_neurons, top_neurons
from ood_core.neurons.ordering import ORDERS, Order, seriate

__all__ = [
    "CELLS",
    "ORDERS",
    "ContributionView",
    "ImageReceipt",
    "LineLab",
    "LineResult",
    "NeuronDrill",
    "Order",
    "accuracy_effect",
    "activity",
    "contribution_table",
    "contribution_view",
    "drill",
    "drop_neurons",
    "drop_set",
    "excited_by_ood",
    "image_receipt",
    "mean_activations",
    "neuron_column",
    "parse_neurons",
    "rates",
    "seriate",
    "share_active",
    "strongest_first",
    "summary_of_receipt",
    "top_images",
    "top_neurons",
]
