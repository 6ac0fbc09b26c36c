"""Distance to the decision boundaries (fDBD)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows
from ood_core.detectors.base import Detector
from ood_core.detectors.torch_form import torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["BoundaryDistance", "inverse_weight_distances"]


def inverse_weight_distances(weight: np.ndarray) -> np.ndarray:
    """`1/‖w_i − w_j‖` for all pairs of classes, (c, c); 0 on the diagonal and for equal rows.

    From the Gram matrix: the c x c x d tensor of differences is 8 GB for ImageNet. Pairs whose
    difference drowns in rounding are computed directly.
    """
    square = np.einsum("cd,cd->c", weight, weight)
    sums = square[:, None] + square
    squared = sums - 2.0 * (weight @ weight.T)
    np.fill_diagonal(squared, 0.0)
    for i, j in np.argwhere(np.triu(squared < 1e-6 * sums, 1)):
        squared[i, j] = squared[j, i] = ((weight[i] - weight[j]) ** 2).sum()
    distance = np.sqrt(np.maximum(squared, 0.0))
    return np.where(distance > 0, 1.0 / np.where(distance > 0, distance, 1.0), 0.0)


class BoundaryDistance(Detector):
    """Mean distance to the other classes' decision boundaries over the distance to the fit mean.

        S = mean_{c≠ŷ} (z_ŷ − z_c)/‖w_ŷ − w_c‖ / ‖h − μ‖

    Classes with the same weight row as the predicted one have no boundary and count as 0.

    Attributes
    ----------
    mean_ : (d,) mean feature μ of the fit set.
    inverse_ : (c, c) inverse distances between weight rows.

    >>> from ood_core import Activations, ClassifierHead, make_detector
    >>> known = Activations.from_arrays([[3.0, 1.0], [1.0, 3.0], [2.0, 1.0], [1.0, 2.0]])
    >>> head = ClassifierHead([[1.0, -1.0], [-1.0, 1.0]])
    >>> detector = make_detector("fdbd").fit(known, head)
    >>> new = Activations.from_arrays([[3.0, 0.0], [9.0, 9.0]])
    >>> detector.score_samples(new).round(3)
    array([0.986, 0.   ])
    """

    name = "fdbd"
    title = "fDBD"
    summary = "How far the features are from switching class, relative to how far out they lie."
    equation = (
        r"S(x) = \frac{1}{C-1} \sum_{c \ne \hat y} \frac{z_{\hat y} - z_c}"
        r"{\lVert w_{\hat y} - w_c \rVert} \Big/ \lVert h - \mu \rVert"
    )
    reference = "Liu & Qin, ICML 2024, arXiv 2312.11536"
    family = "Features and logits"
    needs: ClassVar[frozenset[str]] = frozenset({"logits", "head", "fit"})

    mean_: np.ndarray
    inverse_: np.ndarray

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        weight = self._need_head().weight
        self.mean_ = acts.features.mean(axis=0, dtype=np.float64)
        self.inverse_ = inverse_weight_distances(weight)
        twins = int((np.count_nonzero(self.inverse_ == 0, axis=1) > 1).sum())
        if twins and len(weight) > 1:
            self._warn(f"{twins} classes share their weight row with another class.")

    def _score(self, acts: Activations) -> np.ndarray:
        others = max(1, len(self.inverse_) - 1)

        def score(h: np.ndarray, z: np.ndarray) -> np.ndarray:
            top = z.argmax(axis=1)
            gaps = z.max(axis=1, keepdims=True) - z
            margin = np.einsum("nc,nc->n", gaps, self.inverse_[top]) / others
            return np.asarray(margin / np.maximum(np.linalg.norm(h - self.mean_, axis=1), 1e-12))

        return by_rows(score, acts.features, self._logits(acts))

    def _torch_form(self) -> nn.Module:
        others = max(1, len(self.inverse_) - 1)

        def score(h: Tensor, z: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
            gaps = z.amax(1, keepdim=True) - z
            margin = (gaps * inverse[z.argmax(1)]).sum(1) / others
            length: Tensor = (h - mean).norm(dim=1)
            return margin / length.clamp(min=1e-12)

        return torch_module(score, mean=self.mean_, inverse=self.inverse_)
