"""Norms and counts of a layer record, pooled or flat: the ground of the norm scores."""

from __future__ import annotations

import numpy as np

from ood_core.activations.record import LayerRecord
from ood_core.detectors._arrays import row_slices
from ood_core.errors import ConfigError

__all__ = ["active_count", "lp_norm"]


def lp_norm(record: LayerRecord, p: float = 1.0, pool: str = "gap") -> np.ndarray:
    """`‖a‖_p` per image, float64 (n,).

    Parameters
    ----------
    record : activations of one layer.
    p : order > 0; infinity is the largest magnitude.
    pool : "gap" takes the channel means, "flat" every position. Flat norms exist for p = 1 and 2,
        which the forward pass records; the maps themselves are not kept.

    Raises
    ------
    ConfigError
        For flat norms of another order.
    """
    if pool == "flat" or record.positions == 1:
        if p == 1:
            return np.asarray(record.l1, dtype=np.float64)
        if p == 2:
            return np.asarray(record.l2, dtype=np.float64)
        if pool == "flat" and record.positions > 1:
            raise ConfigError(
                f"pool 'flat' has norms of order p = 1 and p = 2 only, got p = {p:g}: "
                "the maps are not stored. Use pool 'gap' for other orders."
            )
    out = np.empty(len(record))
    for rows in row_slices(len(record), 512):
        out[rows] = _lp(np.abs(record.pooled[rows]).astype(np.float64, copy=False), p)
    return out


def active_count(record: LayerRecord, pool: str = "gap") -> np.ndarray:
    """`‖a‖₀`: number of units > 0 per image, int64 (n,). Values <= 0 count as off."""
    if pool == "flat" or record.positions == 1:
        return np.asarray(record.l0, dtype=np.int64)
    out = np.empty(len(record), dtype=np.int64)
    for rows in row_slices(len(record)):
        out[rows] = np.count_nonzero(record.pooled[rows] > 0, axis=1)
    return out


def _lp(magnitude: np.ndarray, p: float) -> np.ndarray:
    if p == 1:
        return np.asarray(magnitude.sum(axis=1))
    if p == 2:
        return np.asarray(np.sqrt(np.einsum("nd,nd->n", magnitude, magnitude)))
    top: np.ndarray = magnitude.max(axis=1)
    if np.isinf(p):
        return top
    # Scaled by the largest entry, so that high orders neither overflow nor vanish.
    scaled = magnitude / np.where(top > 0, top, 1.0)[:, None]
    return np.asarray(top * (scaled**p).sum(axis=1) ** (1.0 / p))
