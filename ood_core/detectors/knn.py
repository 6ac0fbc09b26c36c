"""Distance to the k-th nearest fit image."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import row_slices, unit_rows
from ood_core.detectors._neighbours import Bank
from ood_core.detectors._neighbours_torch import torch_kth_distance
from ood_core.detectors.base import Detector
from ood_core.detectors.constraints import Number
from ood_core.detectors.torch_form import torch_module, torch_unit_rows
from ood_core.errors import ConfigError
from ood_core.models.head import ClassifierHead
from ood_core.runtime.bounded import Bounded

if TYPE_CHECKING:
    from torch import nn

__all__ = ["KNN", "check_k", "unit_bank", "unit_factors"]

_banks: weakref.WeakValueDictionary[int, Bank] = weakref.WeakValueDictionary()
_known: Bounded[tuple[int, int, int], tuple[tuple[weakref.ref[np.ndarray], ...], np.ndarray]] = (
    Bounded(32)
)


def unit_factors(features: np.ndarray) -> np.ndarray:
    """`1/(‖h‖ + 1e-10)` per row, float64 (n,)."""
    out = np.empty(len(features))
    for part in row_slices(len(features)):
        h = features[part].astype(np.float64, copy=False)
        out[part] = 1.0 / (np.sqrt(np.einsum("nd,nd->n", h, h)) + 1e-10)
    return out


def unit_bank(features: np.ndarray) -> Bank:
    """Bank of unit rows whose largest keys are the smallest Euclidean distances.

    Detectors fitted on one array share one bank. An all-zero row stays zero and is nearer than its
    inner product says, which the offset `(1 − ‖row‖²)/2` accounts for.
    """
    bank = _banks.get(id(features))
    if bank is None or bank.features is not features:
        factor = unit_factors(features)
        norm = 1.0 - 1e-10 * factor
        bank = Bank(features, factor, (1.0 - norm * norm) / 2.0)
        _banks[id(features)] = bank
    return bank


def _kth_distance(bank: Bank, features: np.ndarray, k: int) -> np.ndarray:
    """k-th distances of all rows, (n,).

    Those between read-only arrays are remembered while the arrays live: the fusions ask for the
    same distances again, and they are by far the dearest thing to compute.
    """
    arrays = (bank.features, features)
    key = (id(bank.features), id(features), k)
    held, distances = _known.find(key) or ((), np.empty(0))
    if held and all(ref() is array for ref, array in zip(held, arrays, strict=True)):
        return distances
    out = np.empty(len(features))
    for part in row_slices(len(features), 8192):
        unit = unit_rows(features[part].astype(np.float64, copy=False))
        out[part] = bank.kth_distance(unit, k)
    if not any(array.flags.writeable for array in arrays):
        out.setflags(write=False)
        _known.put(key, (tuple(weakref.ref(array) for array in arrays), out))
    return out


def check_k(name: str, k: int, n: int) -> None:
    """Raise ConfigError when the fit set has fewer than k images."""
    if k > n:
        raise ConfigError(
            f"detector {name!r}: parameter 'k' must be at most the number of fit images "
            f"({n:,}), got {k}."
        )


class KNN(Detector):
    """Distance to the k-th nearest fit feature: `S = −‖ĥ − ĥ_(k)‖₂`, features scaled to length 1.

    Euclidean, not squared as faiss returns it; rows are divided by `‖h‖ + 1e-10`. An image of the
    fit set is its own nearest neighbour.

    Parameters
    ----------
    k : neighbour counted; the paper uses 50 for CIFAR-10 and 1000 for ImageNet (whole fit set).

    Attributes
    ----------
    bank_ : the fit features.

    >>> from ood_core import Activations, make_detector
    >>> known = Activations.from_arrays([[3.0, 1.0], [1.0, 3.0], [2.0, 1.0], [1.0, 2.0]])
    >>> detector = make_detector("knn", k=1).fit(known)
    >>> new = Activations.from_arrays([[6.0, 2.0], [5.0, -5.0]])
    >>> detector.score_samples(new).round(3)
    array([-0.   , -1.051])
    """

    name = "knn"
    title = "KNN"
    short = "KNN"
    summary = "How far the features point away from those of the k-th most similar known image."
    equation = r"S(x) = -\lVert \hat h - \hat h_{(k)} \rVert_2"
    reference = "Sun et al., ICML 2022, arXiv 2204.06507"
    family = "Distances"
    needs: ClassVar[frozenset[str]] = frozenset({"fit"})
    fusion_role = "distance"
    constraints: ClassVar = {
        "k": Number("Neighbour k", "Larger is smoother; at most the size of the fit set.", low=1,
                    integer=True, slider=(1, 1000, 1)),
    }  # fmt: skip
    sweep: ClassVar = {"k": (1, 5, 10, 20, 50, 100, 200, 500, 1000)}

    bank_: Bank

    def __init__(self, k: int = 50) -> None:
        self.k = k

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        check_k(self.name, self.k, len(acts))
        self.bank_ = unit_bank(acts.features)

    def _score(self, acts: Activations) -> np.ndarray:
        return -_kth_distance(self.bank_, acts.features, self.k)

    def _torch_form(self) -> nn.Module:
        k = self.k
        return torch_module(
            lambda h, z, bank, offset: -torch_kth_distance(torch_unit_rows(h), bank, offset, k),
            bank=self.bank_.rows(slice(None)),
            offset=self.bank_.offset,
        )
