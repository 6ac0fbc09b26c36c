"""Activation scaling: all units times `exp(s1/s2)`, nothing pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ood_core.detectors._shaping import ShapingDetector, scale_factor, torch_scale_factor

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Scale"]


class Scale(ShapingDetector):
    """Activation scaling: all units times `exp(s1/s2)`, nothing pruned.

    s1 is the sum of all units, s2 of the k largest.

    Parameters
    ----------
    p : percent of units pruned per image; `k = d − round_half_even(d·p/100)` are kept.

    >>> from ood_core import Activations, ClassifierHead, make_detector
    >>> known = Activations.from_arrays([[3.0, 1.0], [1.0, 3.0], [2.0, 1.0], [1.0, 2.0]])
    >>> head = ClassifierHead([[1.0, -1.0], [-1.0, 1.0]])
    >>> detector = make_detector("scale", p=50.0).fit(known, head)
    >>> new = Activations.from_arrays([[3.0, 0.0], [0.5, 0.5]])
    >>> detector.score_samples(new).round(3)
    array([8.155, 0.693])
    """

    name = "scale"
    title = "SCALE"
    summary = "Energy after each image's activations are scaled up by how few units carry them."
    equation = r"S(x) = \log \sum_k e^{(W h\, e^{s_1/s_2} + b)_k}"
    reference = "Xu et al., ICLR 2024, arXiv 2310.00227"

    def __init__(self, p: float = 85.0) -> None:
        self.p = p

    @staticmethod
    def _shape(h: np.ndarray, mask: np.ndarray, k: int) -> np.ndarray:
        kept = np.where(mask, h, 0.0).sum(axis=1, keepdims=True)
        return np.asarray(h * scale_factor(h.sum(axis=1, keepdims=True), kept))

    @staticmethod
    def _torch_shape(h: Tensor, mask: Tensor, k: int) -> Tensor:
        kept = (h * mask).sum(1, keepdim=True)
        return h * torch_scale_factor(h.sum(1, keepdim=True), kept)
