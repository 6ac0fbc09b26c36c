"""Maximum softmax probability."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows, logsumexp
from ood_core.detectors.base import Detector
from ood_core.detectors.torch_form import torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MaxSoftmax", "msp_score"]


def msp_score(logits: np.ndarray) -> np.ndarray:
    """Largest softmax probability per row, `max_c softmax(z)_c`.

    Parameters
    ----------
    logits : (n, c).

    Returns
    -------
    (n,) float64 in [1/c, 1]. float32 would saturate at 1 and tie confident images.
    """
    return by_rows(lambda z: np.exp(z.max(axis=1) - logsumexp(z)), logits)


class MaxSoftmax(Detector):
    """Maximum softmax probability: `S = max_c p_c`.

    >>> from ood_core import Activations, make_detector
    >>> acts = Activations.from_arrays([[1.0], [1.0]], logits=[[4.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    >>> make_detector("msp").fit(acts).score_samples(acts).round(3)
    array([0.965, 0.576])
    """

    name = "msp"
    title = "Max softmax (MSP)"
    summary = "How sure the classifier says it is: the probability of its predicted class."
    equation = r"S(x) = \max_c \operatorname{softmax}(z)_c"
    reference = "Hendrycks & Gimpel, ICLR 2017, arXiv 1610.02136"
    family = "Logits"
    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        """Nothing to learn."""

    def _score(self, acts: Activations) -> np.ndarray:
        return msp_score(self._logits(acts))

    def _torch_form(self) -> nn.Module:
        return torch_module(lambda h, z: (z.amax(1) - z.logsumexp(1)).exp())
