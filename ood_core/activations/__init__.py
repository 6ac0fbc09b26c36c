"""Activations: what a forward pass leaves behind, how it is extracted and where it is kept."""

from ood_core.activations.record import PENULTIMATE, Activations, LayerRecord

__all__ = ["PENULTIMATE", "Activations", "LayerRecord"]
