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
from ood_core.runtime.progress import Meter, ProgressCallback, StopCheck

__all__ = ["LineMasks", "kept_units", "line_masks", "unit_masks"]

BLOCK = 1 << 15
_GATHER = 1 << 15
_STEPS = 16


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
        return np.asarray(self.weight > self.cutoff[c])


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
    contributions : (c, d) class x unit contributions of the fit set; or the rows of some classes,
        whose masks alone are made.
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
    units, unit_threshold = unit_masks(a, p_a)
    columns = np.sort(w, axis=0)
    rank = int(np.floor(p_w / 100.0 * (c * d - 1)))
    weight_threshold = np.empty(len(a))
    cutoff = np.empty(a.shape)
    meter = Meter("LINe masks", len(a), progress, should_stop)
    for rows in row_slices(len(a), max(1, BLOCK // d)):
        scales = np.abs(a[rows])
        weight_threshold[rows] = _kth_of_columns(scales, columns, rank)
        cutoff[rows] = _last_not_above(scales, columns, weight_threshold[rows])
        meter.advance(len(scales))
    return LineMasks(units, cutoff, w, unit_threshold, weight_threshold)


def unit_masks(contributions: np.ndarray, p_a: float) -> tuple[np.ndarray, np.ndarray]:
    """Units kept per class, (c, d) bool, and the contribution (c,) that each must exceed."""
    j = int(np.floor(p_a / 100.0 * (contributions.shape[1] - 1)))
    threshold = np.partition(contributions, j, axis=1)[:, j]
    return contributions > threshold[:, None], threshold


def kept_units(masks: LineMasks) -> tuple[np.ndarray, np.ndarray]:
    """Units kept per class (c, m) and their cutoffs, m the most kept by a class.

    Where a class keeps fewer, units fill up whose cutoff is infinite: none of their weights stays.
    """
    most = int(masks.units.sum(axis=1).max())
    unit = np.argsort(~masks.units, axis=1, kind="stable")[:, :most]
    kept = np.take_along_axis(masks.units, unit, axis=1)
    return unit, np.where(kept, np.take_along_axis(masks.cutoff, unit, axis=1), np.inf)


def _kth_of_columns(scales: np.ndarray, columns: np.ndarray, rank: int) -> np.ndarray:
    """The `rank`-th smallest (from 0) of `scales[b] * columns`, for each row b of scales.

    Evenly spaced positions of the sorted columns bracket the answer; the bracket is counted
    exactly, widened where it missed, and the few values inside it are partitioned.
    """
    n, d = scales.shape
    low = np.zeros((n, d), dtype=np.int64)
    high = np.full((n, d), len(columns))
    if high[0].sum() > _GATHER:
        under, over = _bracket(scales, columns, rank)
        below = _count(scales, columns, under, low, high, inclusive=False)
        upto = _count(scales, columns, over, below, high, inclusive=True)
        low = np.where((below.sum(axis=1) <= rank)[:, None], below, low)
        high = np.where((upto.sum(axis=1) > rank)[:, None], upto, high)
    found = np.empty(n)
    for b in range(n):
        left = _gather(scales[b], columns, low[b], high[b])
        k = rank - int(low[b].sum())
        found[b] = np.partition(left, k)[k]
    return found


def _bracket(scales: np.ndarray, columns: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Values (n, 1) that very likely lie below and above the `rank`-th smallest.

    A sampled position errs by at most half a step per unit, so by about √d steps over d units.
    """
    c, d = columns.shape
    steps = min(_STEPS, c)
    at = ((2 * np.arange(steps) + 1) * c) // (2 * steps)
    sample = (scales[:, None, :] * columns[at]).reshape(len(scales), -1)
    slack = 2 * int(np.ceil(np.sqrt(d)))
    middle = rank * steps // c
    first, last = np.clip((middle - slack, middle + slack), 0, steps * d - 1)
    ordered = np.partition(sample, (first, last), axis=1)
    return ordered[:, first, None], ordered[:, last, None]


def _values(scales: np.ndarray, columns: np.ndarray, position: np.ndarray) -> np.ndarray:
    inside = np.minimum(position, len(columns) - 1)
    return np.asarray(scales * columns[inside, np.arange(columns.shape[1])])


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
    return np.asarray(scale[unit] * columns[first + np.arange(len(unit)), unit])


def _last_not_above(scales: np.ndarray, columns: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Per unit the largest weight whose value is <= the class's threshold; -inf where none is."""
    zero = np.zeros(scales.shape, dtype=np.int64)
    position = _count(scales, columns, limit[:, None], zero, zero + len(columns), inclusive=True)
    last = columns[np.maximum(position - 1, 0), np.arange(columns.shape[1])]
    return np.where(position > 0, last, -np.inf)
