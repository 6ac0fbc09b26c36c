"""Simplified Hopfield energy (SHE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows, class_means
from ood_core.detectors.base import Detector
from ood_core.detectors.torch_form import torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import nn

__all__ = ["HopfieldEnergy", "she_templates"]


def she_templates(
    features: np.ndarray, labels: np.ndarray, predicted: np.ndarray, c: int
) -> np.ndarray:
    """Mean feature per class over its correctly classified images, (c, d); NaN rows without any."""
    return class_means(features, np.where(predicted == labels, labels, -1), c)


class HopfieldEnergy(Detector):
    """Simplified Hopfield energy: `S = h · m_ŷ`, m_c the mean feature of class c.

    The means are taken over correctly classified fit images (inner-product version). A class
    without any falls back to the mean of all its images, with a warning.

    Attributes
    ----------
    templates_ : (c, d).

    >>> from ood_core import Activations, ClassifierHead, make_detector
    >>> h, z = [[3.0, 1.0], [1.0, 3.0]], [[2.0, -2.0], [-2.0, 2.0]]
    >>> known = Activations.from_arrays(h, z, labels=[0, 1])
    >>> head = ClassifierHead([[1.0, -1.0], [-1.0, 1.0]])
    >>> detector = make_detector("she").fit(known, head)
    >>> new = Activations.from_arrays([[3.0, 0.0], [0.5, 0.5]])
    >>> detector.score_samples(new).round(3)
    array([9., 2.])
    """

    name = "she"
    title = "SHE"
    summary = "How well the features match the stored pattern of the predicted class."
    equation = r"S(x) = h^\top m_{\hat y}"
    reference = "Zhang et al., ICLR 2023"
    family = "Features and logits"
    needs: ClassVar[frozenset[str]] = frozenset({"logits", "fit", "labels"})

    templates_: np.ndarray

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        logits = self._logits(acts)
        c = logits.shape[1]
        labels = self._class_labels(acts, c)
        templates = she_templates(acts.features, labels, logits.argmax(axis=1), c)
        lacking = np.isnan(templates[:, 0])
        if lacking.any():
            every = class_means(acts.features, labels, c)
            empty = np.isnan(every[:, 0])
            every[empty] = acts.features.mean(axis=0, dtype=np.float64)
            templates[lacking] = every[lacking]
            self._warn(
                f"{int(lacking.sum())} of {c} classes have no correctly classified image in "
                f"{acts.name!r}; the mean of all their images stands in."
            )
        self.templates_ = templates

    def _score(self, acts: Activations) -> np.ndarray:
        predicted = self._logits(acts).argmax(axis=1)
        return by_rows(
            lambda h, y: np.einsum("nd,nd->n", h, self.templates_[y.astype(np.int64)]),
            acts.features,
            predicted,
        )

    def _torch_form(self) -> nn.Module:
        return torch_module(
            lambda h, z, templates: (h * templates[z.argmax(1)]).sum(1), templates=self.templates_
        )
