"""Directed sparsification (DICE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows, energy_of
from ood_core.detectors.base import Detector
from ood_core.detectors.constraints import Number
from ood_core.detectors.torch_form import torch_energy, torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import nn

__all__ = ["DICE_P", "Dice", "dice_weight"]

DICE_P = Number("Weights removed (%)", "Share of the head's weights that are cut.", low=0, high=100)


def dice_weight(weight: np.ndarray, mean_feature: np.ndarray, p: float) -> np.ndarray:
    """Head weight with the entries of small contribution set to zero.

    An entry stays where `V = W ⊙ mean(h)` is strictly above the p-th percentile of all of V.

    Parameters
    ----------
    weight : (c, d).
    mean_feature : (d,) mean of the fit features.
    p : percent removed.

    Returns
    -------
    (c, d).
    """
    contribution = weight * mean_feature
    return np.where(contribution > np.percentile(contribution, p), weight, 0.0)


class Dice(Detector):
    """Energy with a sparse head: `S = logsumexp((W ⊙ M) h + b)`.

    Parameters
    ----------
    p : percent of head weights removed (90 for CIFAR, 70 for ImageNet in the published scripts).

    Attributes
    ----------
    weight_ : (c, d) sparse head weight.

    >>> from ood_core import Activations, ClassifierHead, make_detector
    >>> known = Activations.from_arrays([[3.0, 1.0], [1.0, 3.0], [2.0, 1.0], [1.0, 2.0]])
    >>> head = ClassifierHead([[1.0, -1.0], [-1.0, 1.0]])
    >>> detector = make_detector("dice", p=50.0).fit(known, head)
    >>> new = Activations.from_arrays([[3.0, 0.0], [0.5, 0.5]])
    >>> detector.score_samples(new).round(3)
    array([3.049, 1.193])
    """

    name = "dice"
    title = "DICE"
    summary = "Energy from the head's strongest connections only; the weak ones are cut as noise."
    equation = r"S(x) = \log \sum_k e^{((W \odot M) h + b)_k}"
    reference = "Sun & Li, ECCV 2022, arXiv 2111.09805"
    family = "Shaped activations"
    needs: ClassVar[frozenset[str]] = frozenset({"head", "fit"})
    constraints: ClassVar = {"p": DICE_P}
    sweep: ClassVar = {"p": (0, 10, 30, 50, 70, 80, 90, 95)}

    weight_: np.ndarray

    def __init__(self, p: float = 90.0) -> None:
        self.p = p

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        mean = acts.features.mean(axis=0, dtype=np.float64)
        self.weight_ = dice_weight(self._need_head().weight, mean, self.p)

    def _score(self, acts: Activations) -> np.ndarray:
        bias = self._need_head().bias
        return by_rows(lambda h: energy_of(h, self.weight_, bias), acts.features)

    def _torch_form(self) -> nn.Module:
        return torch_module(
            lambda h, z, weight, bias: torch_energy(h, weight, bias),
            weight=self.weight_,
            bias=self._need_head().bias,
        )
