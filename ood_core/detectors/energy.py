"""Free energy of the logits."""

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
    from torch import nn

__all__ = ["Energy", "energy_score"]


def energy_score(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """`T · logsumexp(z / T)` per row: the negative free energy.

    Parameters
    ----------
    logits : (n, c).
    temperature : T > 0.

    Returns
    -------
    (n,) float64.
    """
    return by_rows(lambda z: temperature * logsumexp(z / temperature), logits)


class Energy(Detector):
    """Negative free energy: `S = T·logsumexp(z/T)`. The published script returns its negative.

    >>> from ood_core import Activations, make_detector
    >>> acts = Activations.from_arrays([[1.0], [1.0]], logits=[[4.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    >>> make_detector("energy").fit(acts).score_samples(acts).round(3)
    array([4.036, 1.551])
    """

    name = "energy"
    title = "Energy"
    summary = "How much evidence the classifier finds for all its classes together."
    equation = r"S(x) = T \log \sum_c e^{z_c / T}"
    reference = "Liu et al., NeurIPS 2020, arXiv 2010.03759"
    family = "Logits"
    needs: ClassVar[frozenset[str]] = frozenset({"logits"})
    constraints: ClassVar = {
        "temperature": Number(
            "Temperature", "Softens the maximum; 1 is the paper's.", low=0, open_low=True,
            slider=(0.1, 10.0, 0.1),
        )
    }  # fmt: skip
    sweep: ClassVar = {"temperature": (0.1, 0.5, 1.0, 2.0, 10.0, 100.0)}

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        """Nothing to learn."""

    def _score(self, acts: Activations) -> np.ndarray:
        return energy_score(self._logits(acts), self.temperature)

    def _torch_form(self) -> nn.Module:
        t = self.temperature
        return torch_module(lambda h, z: t * (z / t).logsumexp(1))
