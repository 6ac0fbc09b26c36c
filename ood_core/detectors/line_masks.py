"""LINe's masks, exact, without the class x class x unit tensor that the published layer builds.

For n numbers the linear percentile lies in [v_j, v_{j+1}) with `j = floor(p/100·(n−1))`, so
`M > percentile(M, p)` is `M > v_j`. For the weight mask of class c, M is `|contrib[c]|·W`: each of
its columns is a column of W times a number >= 0, so with the columns of W sorted once, v_j is the
j-th smallest in d sorted columns, and the mask of column u is `W[:, u] > cutoff[c, u]` with one
number per unit. Fitting keeps c x d cutoffs; nothing of size c x c x d exists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ood_core.detectors._arrays import row_slices
from ood_core.progress import Meter, ProgressCallback, StopCheck

__all__ = ["LineMasks", "line_masks"]

BLOCK = 1 << 15
_GATHER = 1 << 15


@dataclass(frozen=True, eq=False)
class LineMasks:
    """Masks of all classes.

    Attributes
    ----------
    units : (c, d) bool, activation mask: the units kept when class c is predicted.
    cutoff : (c, d) float64; with class c predicted, `weight[k, u]` is kept where it is greater
        than `cutoff[c, u]`.
    weight : (c, d) head weight that the cutoffs belong to.
    unit_threshold : (c,) contribution that a unit must exceed.
    weight_threshold : (c,) value of `|contrib[c, u]|·weight[k, u]` that a weight must exceed.
    """

    units: np.ndarray
    cutoff: np.ndarray
    weight: np.ndarray
    unit_threshold: np.ndarray
    weight_threshold: np.ndarray

    def weight_mask(self, c: int) -> np.ndarray:
        """Mask (c, d) of the head weights kept when class `c` is predicted."""
        return self.weight > self.cutoff[c]


def line_masks(
    contributions: np.ndarray,
    weight: np.ndarray,
    p_a: float = 90.0,
    p_w: float = 90.0,
    *,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> LineMasks:
    """Activation and weight masks of every class.

    Parameters
    ----------
    contributions : (c, d) class x unit contributions of the fit set.
    weight : (c, d) head weight.
    p_a : percent of units removed per class. Strict `>`: 0 still removes the smallest, 100 all.
    p_w : percent of weights removed per class.
    progress, should_stop : called as classes are done; ImageNet's shape takes seconds.

    Returns
    -------
    LineMasks.

    References
    ----------
    Ahn et al., CVPR 2023, arXiv 2303.13995; the order and the strict comparisons are those of the
    published `models/route.py`.
    """
    a = np.asarray(contributions, dtype=np.float64)
    w = np.asarray(weight, dtype=np.float64)
    c, d = w.shape
    j = int(np.floor(p_a / 100.0 * (d - 1)))
    unit_threshold = np.partition(a, j, axis=1)[:, j]
    columns = np.sort(w, axis=0)
    rank = int(np.floor(p_w / 100.0 * (c * d - 1)))
    weight_threshold = np.empty(c)
    cutoff = np.empty((c, d))
    meter = Meter("LINe masks", c, progress, should_stop)
    for rows in row_slices(c, max(1, BLOCK // d)):
        scales = np.abs(a[rows])
        weight_threshold[rows] = _kth_of_columns(scales, columns, rank)
        cutoff[rows] = _last_not_above(scales, columns, weight_threshold[rows])
        meter.advance(len(scales))
    return LineMasks(a > unit_threshold[:, None], cutoff, w, unit_threshold, weight_threshold)


def _kth_of_columns(scales: np.ndarray, columns: np.ndarray, rank: int) -> np.ndarray:
    """The `rank`-th smallest (from 0) of `scales[b] * columns`, for each row b of scales.

    Per unit the window [low, high) of sorted positions that can still hold the answer shrinks at
    the weighted median of the windows' middles, at least a quarter each time, until few values are
    left to be compared one by one.
    """
    n, d = scales.shape
    low = np.zeros((n, d), dtype=np.int64)
    high = np.full((n, d), len(columns))
    found = np.full(n, np.nan)
    while True:
        width = (high - low) * np.isnan(found)[:, None]
        busy = np.flatnonzero(width.sum(axis=1) > max(_GATHER, d))
        if len(busy) == 0:
            break
        s, lo, hi = scales[busy], low[busy], high[busy]
        pivot = _weighted_median(_values(s, columns, (lo + hi) // 2), width[busy])
        below = _count(s, columns, pivot, lo, hi, inclusive=False)
        upto = _count(s, columns, pivot, below, hi, inclusive=True)
        n_below, n_upto = below.sum(axis=1), upto.sum(axis=1)
        smaller, larger = rank < n_below, rank >= n_upto
        high[busy[smaller]] = below[smaller]
        low[busy[larger]] = upto[larger]
        hit = ~(smaller | larger)
        found[busy[hit]] = pivot[hit, 0]
    for b in np.flatnonzero(np.isnan(found)):
        left = _gather(scales[b], columns, low[b], high[b])
        k = rank - int(low[b].sum())
        found[b] = np.partition(left, k)[k]
    return found


def _values(scales: np.ndarray, columns: np.ndarray, position: np.ndarray) -> np.ndarray:
    inside = np.minimum(position, len(columns) - 1)
    return scales * columns[inside, np.arange(columns.shape[1])]


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(values, axis=1)
    mass = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    middle = (mass * 2 >= mass[:, -1:]).argmax(axis=1)[:, None]
    return np.take_along_axis(values, np.take_along_axis(order, middle, axis=1), axis=1)


def _count(
    scales: np.ndarray,
    columns: np.ndarray,
    limit: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    inclusive: bool,
) -> np.ndarray:
    """How many entries per unit are < (or <=) `limit`, by bisection between low and high."""
    lo, hi = low.copy(), high.copy()
    compare = np.less_equal if inclusive else np.less
    for _ in range(int(np.max(hi - lo, initial=0)).bit_length()):
        middle = (lo + hi) // 2
        under = compare(_values(scales, columns, middle), limit) & (lo < hi)
        lo = np.where(under, middle + 1, lo)
        hi = np.where(under, hi, np.minimum(middle, hi))
    return lo


def _gather(
    scale: np.ndarray, columns: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """All values of one class within the windows [low, high)."""
    width = high - low
    unit = np.repeat(np.arange(len(width)), width)
    first = np.repeat(low - (np.cumsum(width) - width), width)
    return scale[unit] * columns[first + np.arange(len(unit)), unit]


def _last_not_above(scales: np.ndarray, columns: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Per unit the largest weight whose value is <= the class's threshold; -inf where none is."""
    zero = np.zeros(scales.shape, dtype=np.int64)
    position = _count(scales, columns, limit[:, None], zero, zero + len(columns), inclusive=True)
    last = columns[np.maximum(position - 1, 0), np.arange(columns.shape[1])]
    return np.where(position > 0, last, -np.inf)
