"""ReAct and DICE together."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows, energy_of
from ood_core.detectors.base import Detector
from ood_core.detectors.dice import DICE_P, dice_weight
from ood_core.detectors.react import CLIP, PERCENTILE, react_threshold
from ood_core.detectors.torch_form import torch_energy, torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ReActDice"]


class ReActDice(Detector):
    """Energy of clipped features with a sparse head: `S = logsumexp((W ⊙ M) min(h, c) + b)`.

    The mask comes from the mean of the features before clipping, as in the published scripts.

    Parameters
    ----------
    percentile, clip : c, as for ReAct.
    p : percent of head weights removed, as for DICE.

    Attributes
    ----------
    clip_ : c.
    weight_ : (c, d) sparse head weight.

    >>> from ood_core import Activations, ClassifierHead, make_detector
    >>> known = Activations.from_arrays([[3.0, 1.0], [1.0, 3.0], [2.0, 1.0], [1.0, 2.0]])
    >>> head = ClassifierHead([[1.0, -1.0], [-1.0, 1.0]])
    >>> detector = make_detector("react_dice", clip=2.0, p=50.0).fit(known, head)
    >>> new = Activations.from_arrays([[3.0, 0.0], [0.5, 0.5]])
    >>> detector.score_samples(new).round(3)
    array([2.127, 1.193])
    """

    name = "react_dice"
    title = "ReAct + DICE"
    summary = "Energy with unusually large activations cut off and weak connections removed."
    equation = r"S(x) = \log \sum_k e^{((W \odot M) \min(h, c) + b)_k}"
    reference = "Sun & Li, ECCV 2022, arXiv 2111.09805, with ReAct (arXiv 2111.12797)"
    family = "Shaped activations"
    needs: ClassVar[frozenset[str]] = frozenset({"head", "fit"})
    nonnegative = True
    constraints: ClassVar = {"percentile": PERCENTILE, "clip": CLIP, "p": DICE_P}
    sweep: ClassVar = {"percentile": (80, 90, 95, 99), "p": (10, 50, 70, 90)}

    clip_: float
    weight_: np.ndarray

    def __init__(
        self, percentile: float = 90.0, clip: float | None = None, p: float = 90.0
    ) -> None:
        self.percentile = percentile
        self.clip = clip
        self.p = p

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        mean = acts.features.mean(axis=0, dtype=np.float64)
        self.weight_ = dice_weight(self._need_head().weight, mean, self.p)
        self.clip_ = react_threshold(acts.features, self.percentile, self.clip)

    def _score(self, acts: Activations) -> np.ndarray:
        bias = self._need_head().bias
        return by_rows(
            lambda h: energy_of(np.minimum(h, self.clip_), self.weight_, bias), acts.features
        )

    def _torch_form(self) -> nn.Module:
        clip = self.clip_
        return torch_module(
            lambda h, z, weight, bias: torch_energy(h.clamp(max=clip), weight, bias),
            weight=self.weight_,
            bias=self._need_head().bias,
        )
