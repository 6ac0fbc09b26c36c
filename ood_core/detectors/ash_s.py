"""Activation shaping, scaling: the k largest units stay, times `exp(s1/s2)`; the rest become 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ood_core.detectors._shaping import ShapingDetector, scale_factor, torch_scale_factor

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AshScale"]


class AshScale(ShapingDetector):
    """Activation shaping, scaling: the k largest units stay, times `exp(s1/s2)`; the rest become 0.

    s1 is the sum of all units, s2 of those kept. An all-zero image is left as it is (the published
    code gives NaN).

    Parameters
    ----------
    p : percent of units pruned per image; `k = d − round_half_even(d·p/100)` are kept.

    >>> from ood_core import Activations, ClassifierHead, make_detector
    >>> known = Activations.from_arrays([[3.0, 1.0], [1.0, 3.0], [2.0, 1.0], [1.0, 2.0]])
    >>> head = ClassifierHead([[1.0, -1.0], [-1.0, 1.0]])
    >>> detector = make_detector("ash_s", p=50.0).fit(known, head)
    >>> new = Activations.from_arrays([[3.0, 0.0], [0.5, 0.5]])
    >>> detector.score_samples(new).round(3)
    array([8.155, 3.695])
    """

    name = "ash_s"
    title = "ASH-S"
    summary = "Energy after weaker activations are set to zero and the rest scaled up in return."
    equation = (
        r"S(x) = \log \sum_k e^{(W (h \odot m)\, e^{s_1/s_2} + b)_k}, \quad s_2 = \sum_i h_i m_i"
    )
    reference = "Djurisic et al., ICLR 2023, arXiv 2209.09858"

    def __init__(self, p: float = 95.0) -> None:
        self.p = p

    @staticmethod
    def _shape(h: np.ndarray, mask: np.ndarray, k: int) -> np.ndarray:
        kept = np.where(mask, h, 0.0)
        factor = scale_factor(h.sum(axis=1, keepdims=True), kept.sum(axis=1, keepdims=True))
        return np.asarray(kept * factor)

    @staticmethod
    def _torch_shape(h: Tensor, mask: Tensor, k: int) -> Tensor:
        kept = h * mask
        return kept * torch_scale_factor(h.sum(1, keepdim=True), kept.sum(1, keepdim=True))
