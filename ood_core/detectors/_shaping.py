"""Activation shaping per image: what ASH and SCALE share."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows, energy_of, keep_count, top_mask
from ood_core.detectors.base import Detector
from ood_core.detectors.constraints import Number
from ood_core.detectors.torch_form import torch_energy, torch_module
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["MAX_EXPONENT", "ShapingDetector", "scale_factor", "torch_scale_factor"]

MAX_EXPONENT = 500.0
"""`exp` overflows float64 beyond 709; the cap keeps logits finite and the order intact below it."""


def scale_factor(total: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """`exp(s1/s2)` for sums of all and of the kept units, (n, 1) each; e where s2 <= 0.

    The published code divides by zero for an all-zero image; a ratio of 1 changes nothing there.
    """
    ratio = np.where(kept > 0, total / np.where(kept > 0, kept, 1.0), 1.0)
    return np.exp(np.minimum(ratio, MAX_EXPONENT))


def torch_scale_factor(total: Tensor, kept: Tensor) -> Tensor:
    """`scale_factor` in torch."""
    positive = kept > 0
    ratio = (total / kept.where(positive, 1.0)).where(positive, 1.0)
    return ratio.clamp(max=MAX_EXPONENT).exp()


class ShapingDetector(Detector):
    """Base of the scores that shape each feature vector by its k largest units and take the energy.

    A subclass gives `_shape(h, mask, k)`, and `_torch_shape` with a mask of 0 and 1; h is (n, d)
    float64, mask marks the k largest per row.
    """

    family = "Shaped activations"
    needs: ClassVar[frozenset[str]] = frozenset({"head"})
    nonnegative = True
    constraints: ClassVar = {
        "p": Number("Units pruned (%)", "Share of each image's units below the cut.", low=0,
                    high=100, slider=(0, 99, 1)),
    }  # fmt: skip
    sweep: ClassVar = {"p": (50, 65, 70, 75, 80, 85, 90, 95)}

    p: float

    @staticmethod
    def _shape(h: np.ndarray, mask: np.ndarray, k: int) -> np.ndarray:
        raise NotImplementedError

    @staticmethod
    def _torch_shape(h: Tensor, mask: Tensor, k: int) -> Tensor:
        raise NotImplementedError

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        d = acts.features.shape[1]
        if d - int(np.round(d * self.p / 100.0)) < 1:
            self._warn(f"p = {self.p:g} would prune all {d} units; the largest one is kept.")

    def _score(self, acts: Activations) -> np.ndarray:
        head = self._need_head()
        k = keep_count(acts.features.shape[1], self.p)
        return by_rows(
            lambda h: energy_of(self._shape(h, top_mask(h, k), k), head.weight, head.bias),
            acts.features,
        )

    def _torch_form(self) -> nn.Module:
        head = self._need_head()
        k = keep_count(head.n_features, self.p)

        def score(h: Tensor, z: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            # Stable: among equals the leftmost are kept, as `top_mask` does.
            top = h.argsort(dim=1, descending=True, stable=True)[:, :k]
            mask = h.new_zeros(h.shape).scatter(1, top, 1.0)
            return torch_energy(self._torch_shape(h, mask, k), weight, bias)

        return torch_module(score, weight=head.weight, bias=head.bias)
