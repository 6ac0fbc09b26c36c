"""Maximum logit."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors.base import Detector
from ood_core.detectors.torch_form import torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MaxLogit"]


class MaxLogit(Detector):
    """Maximum logit: `S = max_c z_c`.

    >>> from ood_core import Activations, make_detector
    >>> acts = Activations.from_arrays([[1.0], [1.0]], logits=[[4.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    >>> make_detector("max_logit").fit(acts).score_samples(acts).round(3)
    array([4., 1.])
    """

    name = "max_logit"
    title = "Max logit"
    summary = "The largest raw output of the classifier, before it is turned into a probability."
    equation = r"S(x) = \max_c z_c"
    reference = "Hendrycks et al., ICML 2022, arXiv 1911.11132"
    family = "Logits"
    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        """Nothing to learn."""

    def _score(self, acts: Activations) -> np.ndarray:
        return np.asarray(self._logits(acts).max(axis=1))

    def _torch_form(self) -> nn.Module:
        return torch_module(lambda h, z: z.amax(1))
