"""L1, L2, L0, NAN and sparsity of one layer, per image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ood_core.activations import LayerRecord
from ood_core.detectors._norms import active_count, lp_norm
from ood_core.detectors.negative_aware_norm import nan_score
from ood_core.errors import ConfigError, did_you_mean

__all__ = ["POOLS", "Quantities", "check_pool", "quantities"]

POOLS = ("gap", "flat")
"""How a convolutional map becomes a vector: mean per channel ("gap") or every position ("flat")."""


@dataclass(frozen=True, eq=False)
class Quantities:
    """What one layer says about n images; every array has shape (n,), float64.

    Attributes
    ----------
    l1, l2 : norms of the activation.
    l0 : number of active units, those > 0.
    negative_aware_norm : `‖a‖₁ / ‖a‖₀`, 0 where no unit is active.
    sparsity : `1 / ‖a‖₀`, 0 where no unit is active.
    n_units : number of units d that could be active.
    """

    l1: np.ndarray
    l2: np.ndarray
    l0: np.ndarray
    negative_aware_norm: np.ndarray
    sparsity: np.ndarray
    n_units: int

    def score(self, name: str) -> np.ndarray:
        """Scores of the named kind, one of `LAYER_SCORES`, higher = more ID."""
        return np.asarray(getattr(self, name))


def check_pool(pool: str) -> None:
    """Raise ConfigError unless `pool` is one of POOLS."""
    if pool not in POOLS:
        raise ConfigError(f"unknown pool {pool!r}. {did_you_mean(pool, POOLS)}")


def quantities(record: LayerRecord, pool: str = "gap") -> Quantities:
    """Norms, active units, NAN and sparsity of one layer.

        NAN(a) = ‖a‖₁ / ‖a‖₀,   ‖a‖₀ = #{i : a_i > 0},   sparsity(a) = 1 / ‖a‖₀

    Parameters
    ----------
    record : one layer's record of n images.
    pool : "gap" takes the n x c pooled activations, "flat" every position of the map.

    Raises
    ------
    ConfigError
        For an unknown `pool`.

    References
    ----------
    Park et al., "Understanding the Feature Norm for Out-of-Distribution Detection", ICCV 2023,
    arXiv 2310.05316, Eq. 9 and 10.

    Examples
    --------
    >>> rows = LayerRecord.from_vectors(np.array([[2.0, 4.0, 0.0], [3.0, 3.0, 3.0]]))
    >>> found = quantities(rows)
    >>> found.l1.tolist(), found.l0.tolist(), found.negative_aware_norm.tolist()
    ([6.0, 9.0], [2.0, 3.0], [3.0, 3.0])
    """
    check_pool(pool)
    l1, l2 = lp_norm(record, 1.0, pool), lp_norm(record, 2.0, pool)
    active = active_count(record, pool)
    inverse = np.divide(1.0, active, out=np.zeros(len(active)), where=active > 0)
    units = record.n_channels if pool == "gap" else record.n_units
    return Quantities(l1, l2, active.astype(np.float64), nan_score(l1, active), inverse, units)
