"""Norm of the last layer's gradient, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows, softmax
from ood_core.detectors.base import Detector
from ood_core.detectors.torch_form import torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import nn

__all__ = ["GradNorm", "gradnorm_score"]


def gradnorm_score(features: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """`‖h‖₁ · Σ_c |p_c − 1/C|` per row.

    The L1 norm of the gradient of the cross-entropy with the uniform target with respect to the
    head's weight (bias left out): that gradient is the outer product `(p − 1/C) hᵀ`.

    Parameters
    ----------
    features : (n, d).
    logits : (n, c).

    Returns
    -------
    (n,) float64, >= 0.
    """

    def score(h: np.ndarray, z: np.ndarray) -> np.ndarray:
        return np.asarray(np.abs(h).sum(axis=1) * np.abs(softmax(z) - 1.0 / z.shape[1]).sum(axis=1))

    return by_rows(score, features, logits)


class GradNorm(Detector):
    """Gradient norm: `S = ‖h‖₁ · Σ_c |p_c − 1/C|`.

    The published code runs one backward pass per image and sums over classes instead of averaging
    (C times this score); the closed form gives the same ranking without a model.

    >>> from ood_core import Activations, make_detector
    >>> acts = Activations.from_arrays([[4.0, 2.0], [1.0, 1.0]], logits=[[4.0, 0.0], [1.0, 0.0]])
    >>> make_detector("gradnorm").fit(acts).score_samples(acts).round(3)
    array([5.784, 0.924])
    """

    name = "gradnorm"
    title = "GradNorm"
    summary = "How strongly the head would have to change to make the prediction undecided."
    equation = r"S(x) = \lVert h \rVert_1 \sum_c \left| p_c - \tfrac{1}{C} \right|"
    reference = "Huang et al., NeurIPS 2021, arXiv 2110.00218"
    family = "Features and logits"
    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        """Nothing to learn."""

    def _score(self, acts: Activations) -> np.ndarray:
        return gradnorm_score(acts.features, self._logits(acts))

    def _torch_form(self) -> nn.Module:
        return torch_module(
            lambda h, z: h.abs().sum(1) * (z.softmax(1) - 1 / z.shape[1]).abs().sum(1)
        )
