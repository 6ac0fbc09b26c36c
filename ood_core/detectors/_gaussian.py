"""Whitening by a covariance that may be singular: what the Gaussian distances share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ood_core.detectors._arrays import row_slices
from ood_core.runtime.threads import share_out

__all__ = ["second_moment", "whitening"]


def second_moment(x: np.ndarray, center: np.ndarray) -> np.ndarray:
    """`Σ (x − center)(x − center)ᵀ` over rows, float64 (d, d), by chunks that threads share."""
    totals: dict[int, np.ndarray] = {}

    def work(parts: Sequence[slice]) -> None:
        total = np.zeros((x.shape[1], x.shape[1]))
        for rows in parts:
            part = x[rows] - center
            total += part.T @ part
        if len(parts):
            totals[parts[0].start] = total

    share_out(work, list(row_slices(len(x), 2048)))
    # Threads end in any order; rounding must not depend on it.
    return np.asarray(np.sum([totals[start] for start in sorted(totals)], axis=0))


def whitening(covariance: np.ndarray) -> tuple[np.ndarray, int]:
    """Matrix T (d, r) with `T Tᵀ` the pseudo-inverse of the covariance, and d − r.

    Directions of (relatively) no variance are left out rather than regularised: with a small ridge
    a dead unit would get a precision of 1e6 and one tiny activation of it would decide the score.
    """
    d = len(covariance)
    live = np.flatnonzero(np.diag(covariance) > 0)
    if len(live) == 0:
        return np.zeros((d, 0)), d
    values, vectors = np.linalg.eigh(covariance[np.ix_(live, live)])
    keep = values > values[-1] * len(live) * np.finfo(np.float64).eps
    transform = np.zeros((d, int(keep.sum())))
    transform[live] = vectors[:, keep] / np.sqrt(values[keep])
    return transform, d - transform.shape[1]
