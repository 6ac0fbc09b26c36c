"""Virtual-logit matching (ViM)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows, logsumexp
from ood_core.detectors._subspace import DIM, ResidualSpace
from ood_core.detectors.base import Detector
from ood_core.detectors.torch_form import torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ViM"]


class ViM(Detector):
    """Energy minus a virtual logit: `S = logsumexp(z) − α‖(h − u) R‖`.

    `α = mean(max_c z) / mean(‖(h − u) R‖)` over the fit set matches the two scales.

    Parameters
    ----------
    dim : principal directions left out of R; None: 1000 for d >= 2048, 512 for d >= 768, else d/2.

    Attributes
    ----------
    space_ : ResidualSpace with origin `u = −W⁺ b` and basis R.
    alpha_ : α.

    >>> from ood_core import Activations, ClassifierHead, make_detector
    >>> known = Activations.from_arrays([[3.0, 2.9], [1.0, 1.2], [2.0, 2.0], [1.0, 0.8]])
    >>> head = ClassifierHead([[1.0, -1.0], [-1.0, 1.0]])
    >>> detector = make_detector("vim", dim=1).fit(known, head)
    >>> new = Activations.from_arrays([[4.0, 3.9], [4.0, 0.0]])
    >>> detector.score_samples(new).round(3)
    array([ 0.666, -0.071])
    """

    name = "vim"
    title = "ViM"
    summary = "Energy, lowered by how much of the feature lies in directions rarely used."
    equation = r"S(x) = \log \sum_c e^{z_c} - \alpha \lVert (h - u) R \rVert_2"
    reference = "Wang et al., CVPR 2022, arXiv 2203.10807"
    family = "Features and logits"
    needs: ClassVar[frozenset[str]] = frozenset({"logits", "head", "fit"})
    constraints: ClassVar = {"dim": DIM}
    sweep: ClassVar = {"dim": (8, 16, 32, 64, 128, 256, 512, 1000)}

    space_: ResidualSpace
    alpha_: float

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        self.space_ = ResidualSpace.fit(self.name, acts, self._need_head(), self.dim)
        largest = self._logits(acts).max(axis=1).mean(dtype=np.float64)
        self.alpha_ = float(largest / self.space_.norm(acts.features).mean())
        if self.alpha_ <= 0:
            self._warn(
                f"The mean largest logit is {largest:.3g}: alpha is not positive, and unusual "
                "features raise the score instead of lowering it."
            )

    def _score(self, acts: Activations) -> np.ndarray:
        energy = by_rows(logsumexp, self._logits(acts))
        return energy - self.alpha_ * self.space_.norm(acts.features)

    def _torch_form(self) -> nn.Module:
        alpha = self.alpha_
        return torch_module(
            lambda h, z, origin, basis: z.logsumexp(1) - alpha * ((h - origin) @ basis).norm(dim=1),
            origin=self.space_.origin,
            basis=self.space_.basis,
        )
