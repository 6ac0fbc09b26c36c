"""Nearest-neighbour guidance (NNGuide)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows, logsumexp, row_slices, unit_rows
from ood_core.detectors._neighbours import Bank
from ood_core.detectors._neighbours_torch import torch_top_keys
from ood_core.detectors.base import Detector
from ood_core.detectors.constraints import Number
from ood_core.detectors.knn import check_k, unit_factors
from ood_core.detectors.torch_form import torch_module, torch_unit_rows
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["NNGuide"]


class NNGuide(Detector):
    """Energy times guidance: `S = G · logsumexp(z)`.

    G is the mean of the k largest inner products of the unit feature with the bank
    `ĥ_i · logsumexp(z_i)` of the whole fit set, as in the published code (OpenOOD: k = 100 on 1 %).

    Parameters
    ----------
    k : neighbours averaged.

    Attributes
    ----------
    bank_ : fit features, scaled to length 1 times their energy.

    >>> from ood_core import Activations, ClassifierHead, make_detector
    >>> known = Activations.from_arrays([[3.0, 1.0], [1.0, 3.0], [2.0, 1.0], [1.0, 2.0]])
    >>> head = ClassifierHead([[1.0, -1.0], [-1.0, 1.0]])
    >>> detector = make_detector("nnguide", k=1).fit(known, head)
    >>> new = Activations.from_arrays([[3.0, 0.0], [3.0, -3.0]])
    >>> detector.score_samples(new).round(3)
    array([5.748, 5.415])
    """

    name = "nnguide"
    title = "NNGuide"
    summary = "Energy, trusted only where similar known images had high energy too."
    equation = (
        r"S(x) = \log \sum_c e^{z_c} \cdot \tfrac{1}{k} \sum_{i \in \mathrm{top}_k} "
        r"\hat h^\top \hat h_i \log \sum_c e^{z_{i,c}}"
    )
    reference = "Park et al., ICCV 2023, arXiv 2309.14888"
    family = "Features and logits"
    needs: ClassVar[frozenset[str]] = frozenset({"logits", "fit"})
    constraints: ClassVar = {
        "k": Number("Neighbours k", "Most similar fit images averaged over.", low=1,
                    integer=True, slider=(1, 200, 1)),
    }  # fmt: skip
    sweep: ClassVar = {"k": (1, 5, 10, 20, 50, 100)}

    bank_: Bank

    def __init__(self, k: int = 10) -> None:
        self.k = k

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        check_k(self.name, self.k, len(acts))
        energy = by_rows(logsumexp, self._logits(acts))
        negative = int(np.count_nonzero(energy < 0))
        if negative:
            self._warn(
                f"{negative:,} of {len(acts):,} images of {acts.name!r} have negative energy: "
                "there a close neighbour lowers the score instead of raising it."
            )
        self.bank_ = Bank(acts.features, unit_factors(acts.features) * energy)

    def _score(self, acts: Activations) -> np.ndarray:
        out = by_rows(logsumexp, self._logits(acts))
        for part in row_slices(len(out), 8192):
            unit = unit_rows(acts.features[part].astype(np.float64, copy=False))
            out[part] *= self.bank_.top_mean(unit, self.k)
        return out

    def _torch_form(self) -> nn.Module:
        k = self.k

        def score(h: Tensor, z: Tensor, bank: Tensor) -> Tensor:
            keys, _ = torch_top_keys(torch_unit_rows(h), bank, k)
            return keys.mean(1) * z.logsumexp(1)

        return torch_module(score, bank=self.bank_.rows(slice(None)))
