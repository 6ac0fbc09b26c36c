"""Activation shaping, binarising: the k largest units become `Σh / k`, the rest 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ood_core.detectors._shaping import ShapingDetector

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AshBinarize"]


class AshBinarize(ShapingDetector):
    """Activation shaping, binarising: the k largest units become `Σh / k`, the rest 0.

    Parameters
    ----------
    p : percent of units pruned per image; `k = d − round_half_even(d·p/100)` are kept.

    >>> from ood_core import Activations, ClassifierHead, make_detector
    >>> known = Activations.from_arrays([[3.0, 1.0], [1.0, 3.0], [2.0, 1.0], [1.0, 2.0]])
    >>> head = ClassifierHead([[1.0, -1.0], [-1.0, 1.0]])
    >>> detector = make_detector("ash_b", p=50.0).fit(known, head)
    >>> new = Activations.from_arrays([[3.0, 0.0], [0.5, 0.5]])
    >>> detector.score_samples(new).round(3)
    array([3.002, 1.127])
    """

    name = "ash_b"
    title = "ASH-B"
    summary = "Energy after each image's stronger activations are all set to one shared value."
    equation = r"S(x) = \log \sum_k e^{(W (\tfrac{s_1}{k} m) + b)_k}, \quad s_1 = \sum_i h_i"
    reference = "Djurisic et al., ICLR 2023, arXiv 2209.09858"

    def __init__(self, p: float = 90.0) -> None:
        self.p = p

    @staticmethod
    def _shape(h: np.ndarray, mask: np.ndarray, k: int) -> np.ndarray:
        return np.asarray(mask * (h.sum(axis=1, keepdims=True) / k))

    @staticmethod
    def _torch_shape(h: Tensor, mask: Tensor, k: int) -> Tensor:
        return mask * (h.sum(1, keepdim=True) / k)
