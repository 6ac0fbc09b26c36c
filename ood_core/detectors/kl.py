"""Divergence of the prediction from the uniform one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows, logsumexp
from ood_core.detectors.base import Detector
from ood_core.detectors.torch_form import torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import nn

__all__ = ["KLUniform", "kl_uniform_score"]


def kl_uniform_score(logits: np.ndarray) -> np.ndarray:
    """`KL(u‖p) = logsumexp(z) − mean_c z_c − log C` per row.

    Parameters
    ----------
    logits : (n, c).

    Returns
    -------
    (n,) float64, >= 0.
    """
    return by_rows(lambda z: logsumexp(z) - z.mean(axis=1) - np.log(z.shape[1]), logits)


class KLUniform(Detector):
    """Divergence of the softmax output from uniform, `S = KL(u‖p)`: the NAN paper's "KL" rows.

    Not KL-matching, which compares the prediction with one template per class.

    >>> from ood_core import Activations, make_detector
    >>> acts = Activations.from_arrays([[1.0], [1.0]], logits=[[4.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    >>> make_detector("kl").fit(acts).score_samples(acts).round(3)
    array([1.604, 0.119])
    """

    name = "kl"
    title = "KL to uniform"
    summary = "How far the prediction is from giving every class the same probability."
    equation = r"S(x) = \log \sum_c e^{z_c} - \tfrac{1}{C} \sum_c z_c - \log C"
    reference = "The KL baseline of Park et al., ICCV 2023, arXiv 2310.05316, table 1"
    family = "Logits"
    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        """Nothing to learn."""

    def _score(self, acts: Activations) -> np.ndarray:
        return kl_uniform_score(self._logits(acts))

    def _torch_form(self) -> nn.Module:
        return torch_module(lambda h, z: z.logsumexp(1) - z.mean(1) - math.log(z.shape[1]))
