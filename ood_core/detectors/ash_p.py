"""Activation shaping, pruning: the k largest units stay, the rest become 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ood_core.detectors._shaping import ShapingDetector

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AshPrune"]


class AshPrune(ShapingDetector):
    """Activation shaping, pruning: the k largest units stay, the rest become 0.

    Parameters
    ----------
    p : percent of units pruned per image; `k = d − round_half_even(d·p/100)` are kept.

    >>> from ood_core import Activations, ClassifierHead, make_detector
    >>> known = Activations.from_arrays([[3.0, 1.0], [1.0, 3.0], [2.0, 1.0], [1.0, 2.0]])
    >>> head = ClassifierHead([[1.0, -1.0], [-1.0, 1.0]])
    >>> detector = make_detector("ash_p", p=50.0).fit(known, head)
    >>> new = Activations.from_arrays([[3.0, 0.0], [0.5, 0.5]])
    >>> detector.score_samples(new).round(3)
    array([3.002, 0.813])
    """

    name = "ash_p"
    title = "ASH-P"
    summary = "Energy after each image's weaker activations are set to zero."
    equation = r"S(x) = \log \sum_k e^{(W (h \odot m) + b)_k}, \quad m = [h \in \mathrm{top}_k(h)]"
    reference = "Djurisic et al., ICLR 2023, arXiv 2209.09858"

    def __init__(self, p: float = 90.0) -> None:
        self.p = p

    @staticmethod
    def _shape(h: np.ndarray, mask: np.ndarray, k: int) -> np.ndarray:
        return np.where(mask, h, 0.0)

    @staticmethod
    def _torch_shape(h: Tensor, mask: Tensor, k: int) -> Tensor:
        return h * mask
