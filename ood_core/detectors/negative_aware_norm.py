"""Negative-aware norm (NAN): the norm over the number of active units."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._norms import active_count, lp_norm
from ood_core.detectors.base import Detector
from ood_core.detectors.constraints import LAYER, POOL
from ood_core.detectors.torch_form import torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["DEGENERATE_VARIATION", "NegativeAwareNorm", "nan_score"]

DEGENERATE_VARIATION = 0.02
"""Coefficient of variation of the active count below which NAN is the plain norm in disguise."""


def nan_score(norm: np.ndarray, active: np.ndarray) -> np.ndarray:
    """`‖a‖₁ / ‖a‖₀` from norms (n,) and counts of active units (n,); 0 where none is active.

    No epsilon in the denominator: the paper has none.
    """
    return np.where(active > 0, norm / np.maximum(active, 1), 0.0)


class NegativeAwareNorm(Detector):
    """Negative-aware norm: `S = ‖a‖₁/‖a‖₀`, after ReLU the mean of the active units.

    Units <= 0 count as off. With signed activations the norm counts negatives while the number of
    active units does not, so NAN can exceed the largest magnitude: a warning says so.

    Parameters
    ----------
    layer : recorded layer; None is the penultimate one, the paper's.
    pool : "gap" (channel means) or "flat" (every position); the two differ on maps.

    >>> from ood_core import Activations, make_detector
    >>> acts = Activations.from_arrays([[3.0, 0.0, 4.0], [1.0, 1.0, 1.0]])
    >>> make_detector("negative_aware_norm").fit(acts).score_samples(acts)
    array([3.5, 1. ])
    """

    name = "negative_aware_norm"
    aliases = ("nan",)  # programs that read tables take a cell "nan" for a missing value
    title = "Negative-aware norm (NAN)"
    short = "NAN"
    summary = "Mean strength of the units that respond: it also credits units that stay off."
    equation = r"S(x) = \lVert a \rVert_1 \,/\, \lVert a \rVert_0"
    reference = "Park et al., ICCV 2023, arXiv 2310.05316, equation 10"
    family = "Feature norms"
    layerwise = True
    nonnegative = True
    fusion_role = "norm"
    constraints: ClassVar = {"layer": LAYER, "pool": POOL}

    def __init__(self, layer: str | None = None, pool: str = "gap") -> None:
        self.layer = layer
        self.pool = pool

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        active = active_count(acts.layer(self.layer), self.pool)
        mean = active.mean() if len(active) else 0.0
        if mean > 0 and active.std() < DEGENERATE_VARIATION * mean:
            record = acts.layer(self.layer)
            units = record.n_units if self.pool == "flat" else record.n_channels
            self._warn(
                f"Almost the same number of units is active in every image of {acts.name!r} "
                f"(mean {mean:.0f} of {units}, variation {100 * active.std() / mean:.1f} %): NAN "
                "is close to the plain L1 norm here."
            )

    def _note_silent(self, acts: Activations) -> None:
        """Counted where the layer is read."""

    def _score(self, acts: Activations) -> np.ndarray:
        record = acts.layer(self.layer)
        active = active_count(record, self.pool)
        silent = int(np.count_nonzero(active == 0))
        if silent:
            self._warn(
                f"{silent:,} of {len(active):,} images of {acts.name!r} have no active unit; "
                "their NAN is 0."
            )
        return nan_score(lp_norm(record, 1.0, self.pool), active)

    def _torch_form(self) -> nn.Module:
        def score(h: Tensor, z: Tensor) -> Tensor:
            active = (h > 0).sum(1)
            return (active > 0) * h.abs().sum(1) / active.clamp(min=1)

        return torch_module(score)
