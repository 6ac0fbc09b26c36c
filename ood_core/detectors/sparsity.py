"""Sparsity of a hidden activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._norms import active_count
from ood_core.detectors.base import Detector
from ood_core.detectors.constraints import LAYER, POOL
from ood_core.detectors.torch_form import torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Sparsity", "sparsity_score"]


def sparsity_score(active: np.ndarray) -> np.ndarray:
    """`1/‖a‖₀` for counts of active units (n,); 0 where no unit is active."""
    return np.where(active > 0, 1.0 / np.maximum(active, 1), 0.0)


class Sparsity(Detector):
    """Sparsity: `S = 1/‖a‖₀`, the share of NAN that the plain norm lacks.

    Parameters
    ----------
    layer : recorded layer; None is the penultimate one.
    pool : "gap" counts channels whose mean is > 0, "flat" counts positions > 0.

    >>> from ood_core import Activations, make_detector
    >>> acts = Activations.from_arrays([[3.0, 0.0, 4.0], [1.0, 1.0, 1.0]])
    >>> make_detector("sparsity").fit(acts).score_samples(acts).round(3)
    array([0.5  , 0.333])
    """

    name = "sparsity"
    title = "Sparsity"
    summary = "How few units respond: known inputs switch many units off, unknown ones fewer."
    equation = r"S(x) = 1 / \lVert a \rVert_0"
    reference = "Park et al., ICCV 2023, arXiv 2310.05316, equation 9"
    family = "Feature norms"
    layerwise = True
    nonnegative = True
    constraints: ClassVar = {"layer": LAYER, "pool": POOL}

    def __init__(self, layer: str | None = None, pool: str = "gap") -> None:
        self.layer = layer
        self.pool = pool

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        acts.layer(self.layer)

    def _note_silent(self, acts: Activations) -> None:
        """Counted where the layer is read."""

    def _score(self, acts: Activations) -> np.ndarray:
        active = active_count(acts.layer(self.layer), self.pool)
        silent = int(np.count_nonzero(active == 0))
        if silent:
            self._warn(
                f"{silent:,} of {len(active):,} images of {acts.name!r} have no active unit; "
                "their score is 0."
            )
        return sparsity_score(active)

    def _torch_form(self) -> nn.Module:
        def score(h: Tensor, z: Tensor) -> Tensor:
            active = (h > 0).sum(1)
            return (active > 0) / active.clamp(min=1).to(h.dtype)

        return torch_module(score)
