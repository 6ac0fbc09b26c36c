"""Rectified activations (ReAct)."""

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

__all__ = ["CLIP", "PERCENTILE", "ReAct", "react_threshold"]

PERCENTILE = Number(
    "Clip percentile", "Activations above this percentile of the fit set are cut.",
    low=0, high=100, slider=(50, 100, 1),
)  # fmt: skip
CLIP = Number(
    "Clip", "Cut activations at this value instead of a percentile.", optional=True,
    low=0, open_low=True, slider=(0.1, 5.0, 0.1),
)  # fmt: skip


def react_threshold(
    features: np.ndarray, percentile: float = 90.0, clip: float | None = None
) -> float:
    """`clip` where given, else the percentile of all fit activations, samples and units pooled."""
    return float(clip) if clip is not None else float(np.percentile(features, percentile))


class ReAct(Detector):
    """Energy of clipped features: `S = logsumexp(W min(h, c) + b)`.

    Parameters
    ----------
    percentile : c is this percentile of the fit set's activations.
    clip : c itself; replaces the percentile (the paper's ImageNet ResNet-50 value is 1.0).

    Attributes
    ----------
    clip_ : c.

    >>> from ood_core import Activations, ClassifierHead, make_detector
    >>> known = Activations.from_arrays([[3.0, 1.0], [1.0, 3.0], [2.0, 1.0], [1.0, 2.0]])
    >>> head = ClassifierHead([[1.0, -1.0], [-1.0, 1.0]])
    >>> detector = make_detector("react", clip=2.0).fit(known, head)
    >>> new = Activations.from_arrays([[3.0, 0.0], [9.0, 9.0]])
    >>> detector.score_samples(new).round(3)
    array([2.018, 0.693])
    """

    name = "react"
    title = "ReAct"
    short = "ReAct"
    summary = "Energy after cutting off unusually large activations, which unknown inputs cause."
    equation = r"S(x) = \log \sum_k e^{(W \min(h, c) + b)_k}"
    reference = "Sun et al., NeurIPS 2021, arXiv 2111.12797"
    family = "Shaped activations"
    needs: ClassVar[frozenset[str]] = frozenset({"head", "fit"})
    nonnegative = True
    fusion_role = "clip"
    constraints: ClassVar = {"percentile": PERCENTILE, "clip": CLIP}
    sweep: ClassVar = {"percentile": (50, 70, 80, 85, 90, 95, 99, 100)}

    clip_: float

    def __init__(self, percentile: float = 90.0, clip: float | None = None) -> None:
        self.percentile = percentile
        self.clip = clip

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        self.clip_ = react_threshold(acts.features, self.percentile, self.clip)

    def _score(self, acts: Activations) -> np.ndarray:
        head = self._need_head()
        return by_rows(
            lambda h: energy_of(np.minimum(h, self.clip_), head.weight, head.bias), acts.features
        )

    def _torch_form(self) -> nn.Module:
        head, clip = self._need_head(), self.clip_
        return torch_module(
            lambda h, z, weight, bias: torch_energy(h.clamp(max=clip), weight, bias),
            weight=head.weight,
            bias=head.bias,
        )
