"""Mahalanobis distance to the nearest class mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows, class_means
from ood_core.detectors._gaussian import second_moment, whitening
from ood_core.detectors.base import Detector
from ood_core.detectors.torch_form import torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Mahalanobis"]


class Mahalanobis(Detector):
    """Distance to the nearest class mean: `S = −min_c (h − μ_c)ᵀ Σ⁺ (h − μ_c)`.

    One covariance for all classes, `Σ = (1/N) Σ_i (h_i − μ_{y_i})(h_i − μ_{y_i})ᵀ`, with true
    labels, in float64; directions without variance are left out (pseudo-inverse). The last layer
    only: the paper's ensemble over layers needs OOD data to weigh them.

    Where the fit set has no labels all its images are one class, which the paper does not define:

        S = −(h − μ)ᵀ Σ⁺ (h − μ),   μ = mean_i h_i,   Σ = (1/N) Σ_i (h_i − μ)(h_i − μ)ᵀ

    Attributes
    ----------
    transform_ : (d, r) whitening, `transform_ @ transform_.T` = Σ⁺.
    means_ : (classes, r) whitened class means; classes without images are left out.
    center_ : (d,) mean of the class means, subtracted first for accuracy.

    >>> from ood_core import Activations, make_detector
    >>> h, z = [[3.0, 1.0], [3.0, 0.0], [0.0, 3.0], [1.0, 3.0]], [[0.0, 0.0]] * 4
    >>> known = Activations.from_arrays(h, z, labels=[0, 0, 1, 1])
    >>> detector = make_detector("mahalanobis").fit(known)
    >>> new = Activations.from_arrays([[3.0, 0.0], [9.0, 9.0]])
    >>> detector.score_samples(new).round(3)
    array([  -2., -866.])
    """

    name = "mahalanobis"
    title = "Mahalanobis"
    summary = "How far the features lie from the nearest class, in units of the usual spread."
    equation = r"S(x) = -\min_c (h - \mu_c)^\top \Sigma^{+} (h - \mu_c)"
    reference = "Lee et al., NeurIPS 2018, arXiv 1807.03888"
    family = "Distances"
    needs: ClassVar[frozenset[str]] = frozenset({"fit"})
    fusion_role = "distance"
    distance_power = 2

    transform_: np.ndarray
    means_: np.ndarray
    center_: np.ndarray

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        labels, n_classes = self._classes(acts, head)
        features = acts.features
        means = class_means(features, labels, n_classes)
        present = ~np.isnan(means[:, 0])
        scatter = np.zeros((features.shape[1], features.shape[1]))
        for c in np.flatnonzero(present):
            scatter += second_moment(features[labels == c], means[c])
        self.transform_, lost = whitening(scatter / np.count_nonzero(labels >= 0))
        if lost:
            self._warn(
                f"{lost} of {len(scatter)} directions have no variance in {acts.name!r}: "
                "activity along them does not count."
            )
        self.center_ = means[present].mean(axis=0)
        self.means_ = (means[present] - self.center_) @ self.transform_

    def _score(self, acts: Activations) -> np.ndarray:
        square = np.einsum("cr,cr->c", self.means_, self.means_)

        def score(h: np.ndarray) -> np.ndarray:
            u = (h - self.center_) @ self.transform_
            squared = np.einsum("nr,nr->n", u, u)[:, None] + square - 2.0 * (u @ self.means_.T)
            return np.asarray(-np.maximum(squared.min(axis=1), 0.0))

        return by_rows(score, acts.features)

    def _torch_form(self) -> nn.Module:
        def score(h: Tensor, z: Tensor, center: Tensor, transform: Tensor, means: Tensor) -> Tensor:
            u = (h - center) @ transform
            squared = u.square().sum(1, keepdim=True) + means.square().sum(1) - 2 * (u @ means.T)
            return -squared.amin(1).clamp(min=0)

        return torch_module(
            score, center=self.center_, transform=self.transform_, means=self.means_
        )

    def _classes(self, acts: Activations, head: ClassifierHead | None) -> tuple[np.ndarray, int]:
        """Class number of each image (-1 where unknown), and how many classes there are."""
        if acts.labels is None or (acts.labels < 0).all():
            self._warn(f"{acts.name!r} has no labels: one mean and one covariance for all images.")
            return np.zeros(len(acts), np.int64), 1
        known = None
        if head is not None:
            known = head.n_classes
        elif acts.logits is not None:
            known = int(acts.logits.shape[1])
        labels = self._class_labels(acts, known)
        return labels, known or int(labels.max()) + 1
