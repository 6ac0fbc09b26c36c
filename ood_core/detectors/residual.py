"""Norm of the features in the residual subspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._subspace import DIM, ResidualSpace
from ood_core.detectors.base import Detector
from ood_core.detectors.torch_form import torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Residual"]


class Residual(Detector):
    """Residual: `S = −‖(h − u) R‖`, R the least principal directions of the fit features.

    R are eigenvectors of `Σ_i (h_i − u)(h_i − u)ᵀ / n`. The paper's origin is where the logits are
    0, `u = −W⁺ b`. A network without a head has no such point: `u` is then the mean of the fit
    features, and S the reconstruction error of a principal component analysis.

    Parameters
    ----------
    dim : principal directions left out of R; None: 1000 for d >= 2048, 512 for d >= 768, else d/2.

    Attributes
    ----------
    space_ : ResidualSpace with origin u and basis R.

    >>> from ood_core import Activations, ClassifierHead, make_detector
    >>> known = Activations.from_arrays([[3.0, 3.0], [1.0, 1.2], [2.0, 2.0], [1.0, 0.8]])
    >>> head = ClassifierHead([[1.0, -1.0], [-1.0, 1.0]])
    >>> detector = make_detector("residual", dim=1).fit(known, head)
    >>> new = Activations.from_arrays([[4.0, 4.0], [4.0, 0.0]])
    >>> detector.score_samples(new).round(3)
    array([-0.008, -2.832])
    """

    name = "residual"
    title = "Residual"
    summary = "How much of the feature lies in directions that known images hardly use."
    equation = r"S(x) = -\lVert (h - u) R \rVert_2"
    reference = "Wang et al., CVPR 2022, arXiv 2203.10807"
    family = "Distances"
    needs: ClassVar[frozenset[str]] = frozenset({"fit"})
    fusion_role = "distance"
    constraints: ClassVar = {"dim": DIM}
    sweep: ClassVar = {"dim": (8, 16, 32, 64, 128, 256, 512, 1000)}

    space_: ResidualSpace

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        if head is None:
            self._warn("No head: directions are counted from the mean of the fit features.")
        self.space_ = ResidualSpace.fit(self.name, acts, head, self.dim)

    def _score(self, acts: Activations) -> np.ndarray:
        return -self.space_.norm(acts.features)

    def _torch_form(self) -> nn.Module:
        return torch_module(
            lambda h, z, origin, basis: -((h - origin) @ basis).norm(dim=1),
            origin=self.space_.origin,
            basis=self.space_.basis,
        )
