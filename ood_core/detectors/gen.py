"""Generalised entropy (GEN)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows, logsumexp
from ood_core.detectors.base import Detector
from ood_core.detectors.constraints import Number
from ood_core.detectors.torch_form import torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["GeneralizedEntropy", "gen_score"]


def gen_score(logits: np.ndarray, gamma: float = 0.1, top: int = 100) -> np.ndarray:
    """`−Σ p_c^γ (1 − p_c)^γ` over the `top` most probable classes, per row.

    Computed from `log p` and `1 − p = −expm1(log p)`: in float32 a confident prediction would
    round to p = 1 and lose its order.

    Parameters
    ----------
    logits : (n, c).
    gamma : exponent in (0, 1].
    top : number of classes; all where there are fewer.

    Returns
    -------
    (n,) float64, <= 0.
    """

    def score(z: np.ndarray) -> np.ndarray:
        log_p = z - logsumexp(z)[:, None]
        if top < z.shape[1]:
            log_p = np.partition(log_p, z.shape[1] - top, axis=1)[:, -top:]
        rest = np.maximum(-np.expm1(log_p), 0.0)
        return np.asarray(-(np.exp(gamma * log_p) * rest**gamma).sum(axis=1))

    return by_rows(score, logits)


class GeneralizedEntropy(Detector):
    """Generalised entropy: `S = −Σ_{top} p^γ (1−p)^γ`.

    Parameters
    ----------
    gamma : exponent; small values weigh small probabilities up.
    top : number of most probable classes that count (all where there are fewer).

    >>> from ood_core import Activations, make_detector
    >>> acts = Activations.from_arrays([[1.0], [1.0]], logits=[[4.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    >>> make_detector("gen").fit(acts).score_samples(acts).round(3)
    array([-2.047, -2.541])
    """

    name = "gen"
    title = "Generalised entropy (GEN)"
    summary = "How undecided the prediction is, with small doubts magnified."
    equation = r"S(x) = -\sum_{c \in \mathrm{top}} p_c^{\gamma} (1 - p_c)^{\gamma}"
    reference = "Liu et al., CVPR 2023"
    family = "Logits"
    needs: ClassVar[frozenset[str]] = frozenset({"logits"})
    constraints: ClassVar = {
        "gamma": Number("Gamma", "Small values magnify small doubts.", low=0, high=1,
                        open_low=True, slider=(0.01, 1.0, 0.01)),
        "top": Number("Classes counted", "Only the most probable classes count.", low=1,
                      integer=True, slider=(1, 1000, 1)),
    }  # fmt: skip
    sweep: ClassVar = {"gamma": (0.01, 0.1, 0.3, 0.5, 1.0), "top": (10, 50, 100, 500, 1000)}

    def __init__(self, gamma: float = 0.1, top: int = 100) -> None:
        self.gamma = gamma
        self.top = top

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        """Nothing to learn."""

    def _score(self, acts: Activations) -> np.ndarray:
        return gen_score(self._logits(acts), self.gamma, self.top)

    def _torch_form(self) -> nn.Module:
        gamma, top = self.gamma, self.top

        def score(h: Tensor, z: Tensor) -> Tensor:
            log_p = z - z.logsumexp(1, keepdim=True)
            log_p = log_p.topk(min(top, z.shape[1]), dim=1).values
            rest = (-log_p.expm1()).clamp(min=0)
            return -((gamma * log_p).exp() * rest**gamma).sum(1)

        return torch_module(score)
