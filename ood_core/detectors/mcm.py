"""Maximum concept matching (MCM)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors.base import Detector
from ood_core.detectors.constraints import Number
from ood_core.detectors.msp import msp_score
from ood_core.detectors.torch_form import torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["MaximumConceptMatching"]


class MaximumConceptMatching(Detector):
    """Maximum concept matching: `S = max_c softmax(s / τ)_c`, s the cosines to the classes' texts.

    A zero-shot head's logits are `z = s / τ₀`, so `s / τ = z τ₀ / τ`: at τ = τ₀ this is max softmax
    (MSP). The paper's τ is 1, a hundred times CLIP's own; its code divides the same cosines.

    Parameters
    ----------
    temperature : τ, which the cosines are divided by.

    >>> from ood_core import Activations, ClassifierHead, make_detector
    >>> head = ClassifierHead([[100.0, 0.0], [0.0, 100.0]], temperature=0.01)
    >>> acts = Activations.from_arrays([[1.0, 0.0], [0.6, 0.8]])
    >>> make_detector("mcm").fit(acts, head).score_samples(acts).round(3)
    array([0.731, 0.55 ])
    """

    name = "mcm"
    title = "Maximum concept matching (MCM)"
    summary = "How much nearer the image lies to one class's text than to the others'."
    equation = r"S(x) = \max_c \operatorname{softmax}(s / \tau)_c, \quad s_c = \cos(h, t_c)"
    reference = "Ming et al., NeurIPS 2022, arXiv 2211.13445, section 3"
    family = "Logits"
    needs: ClassVar[frozenset[str]] = frozenset({"logits", "zero_shot"})
    constraints: ClassVar = {
        "temperature": Number("Temperature", "Divides the cosines; 1 in the paper.", low=0,
                              open_low=True, slider=(0.01, 2.0, 0.01)),
    }  # fmt: skip
    sweep: ClassVar = {"temperature": (0.01, 0.1, 0.5, 1.0, 10.0)}

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        own = self._need_head().temperature
        assert own is not None
        self.scale_ = own / self.temperature

    def _score(self, acts: Activations) -> np.ndarray:
        logits = np.asarray(self._logits(acts), np.float64)
        return msp_score(logits * self.scale_)

    def _torch_form(self) -> nn.Module:
        scale = float(self.scale_)

        def score(h: Tensor, z: Tensor) -> Tensor:
            scaled = z * scale
            return (scaled.amax(1) - scaled.logsumexp(1)).exp()

        return torch_module(score)
