"""Norm of a hidden activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._norms import lp_norm
from ood_core.detectors.base import Detector
from ood_core.detectors.constraints import LAYER, POOL, Number
from ood_core.detectors.torch_form import torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["FeatureNorm"]


class FeatureNorm(Detector):
    """Feature norm: `S = ‖a‖_p`.

    Parameters
    ----------
    p : order of the norm, > 0; the NAN paper's theory is for p = 1.
    layer : recorded layer; None is the penultimate one.
    pool : "gap" (channel means) or "flat" (every position; p = 1 or 2).

    >>> from ood_core import Activations, make_detector
    >>> acts = Activations.from_arrays([[3.0, 0.0, 4.0], [1.0, 1.0, 1.0]])
    >>> make_detector("feature_norm").fit(acts).score_samples(acts)
    array([7., 3.])
    >>> make_detector("feature_norm", p=2).fit(acts).score_samples(acts).round(3)
    array([5.   , 1.732])
    """

    name = "feature_norm"
    title = "Feature norm"
    short = "Norm"
    summary = "How strongly the layer responds: known inputs excite more, and more strongly."
    equation = r"S(x) = \lVert a \rVert_p"
    reference = "Park et al., ICCV 2023, arXiv 2310.05316, section 3"
    family = "Feature norms"
    layerwise = True
    fusion_role = "norm"
    constraints: ClassVar = {
        "p": Number("Order p", "1: sum of magnitudes. 2: Euclidean.", low=0, open_low=True,
                    slider=(0.5, 4.0, 0.5)),
        "layer": LAYER,
        "pool": POOL,
    }  # fmt: skip
    sweep: ClassVar = {"p": (0.5, 1.0, 2.0, 4.0, float("inf"))}

    def __init__(self, p: float = 1.0, layer: str | None = None, pool: str = "gap") -> None:
        self.p = p
        self.layer = layer
        self.pool = pool

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        # An order that the layer cannot give fails here, not at the first image scored.
        lp_norm(acts.layer(self.layer).take(slice(0, 0)), self.p, self.pool)

    def _score(self, acts: Activations) -> np.ndarray:
        return lp_norm(acts.layer(self.layer), self.p, self.pool)

    def _torch_form(self) -> nn.Module:
        p = float(self.p)

        def score(h: Tensor, z: Tensor) -> Tensor:
            top = h.abs().amax(1, keepdim=True)
            scale = top.where(top > 0, 1.0)
            scaled: Tensor = (h / scale).norm(p=p, dim=1)
            return scale.squeeze(1) * scaled

        return torch_module(score)
