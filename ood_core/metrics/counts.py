"""Scores sorted once, and two sorted sets counted against each other: what every metric reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np

from ood_core.errors import DataError

__all__ = [
    "Comparison",
    "ScoreSummary",
    "Scores",
    "ceil_share",
    "compare",
    "floor_share",
    "pool",
    "summarize",
]


@dataclass(frozen=True, eq=False)
class ScoreSummary:
    """One set's scores in ascending order. Build it with `summarize`.

    Infinite scores are allowed: −inf ranks as most OOD, +inf as most ID.

    Attributes
    ----------
    values : (n,) float64, ascending, read-only.
    """

    values: np.ndarray
    _comparisons: WeakKeyDictionary[ScoreSummary, Comparison] = field(
        init=False, default_factory=WeakKeyDictionary, repr=False
    )

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def n_minus_inf(self) -> int:
        """Number of scores that are −inf."""
        return int(np.searchsorted(self.values, -np.inf, side="right"))

    @cached_property
    def finite(self) -> np.ndarray:
        """The finite scores, ascending: a view."""
        return self.values[self.n_minus_inf : np.searchsorted(self.values, np.inf, side="left")]

    @cached_property
    def n_distinct(self) -> int:
        """Number of distinct scores."""
        return 1 + int(np.count_nonzero(self.values[1:] != self.values[:-1]))

    def accepted(self, threshold: float) -> int:
        """Number of images accepted: score >= threshold."""
        return len(self) - int(np.searchsorted(self.values, threshold, side="left"))

    def accepted_at(self, thresholds: np.ndarray) -> np.ndarray:
        """Number of images accepted at each threshold, int64, same shape as `thresholds`."""
        return len(self) - np.searchsorted(self.values, thresholds, side="left").astype(np.int64)

    def kth_largest(self, k: int) -> float:
        """The k-th largest score, k from 1 to n; the threshold that accepts at least k images."""
        return float(self.values[len(self) - k])

    def percentile_of(self, scores: np.ndarray) -> np.ndarray:
        """Share of this set's scores that are <= each score, in percent, shape of `scores`."""
        return 100.0 * np.searchsorted(self.values, scores, side="right") / len(self)


def ceil_share(rate: float, n: int) -> int:
    """ceil(rate n) as if in exact arithmetic: 0.95 of 20 images is 19, and k / n of n is k.

    Examples
    --------
    >>> ceil_share(0.95, 20), ceil_share(316 / 481, 481), ceil_share(0.951, 20)
    (19, 316, 20)
    """
    return math.ceil(_share(rate, n))


def floor_share(rate: float, n: int) -> int:
    """floor(rate n) as if in exact arithmetic: 0.07 of 100 images is 7, and k / n of n is k.

    Examples
    --------
    >>> floor_share(0.07, 100)
    7
    """
    return math.floor(_share(rate, n))


def _share(rate: float, n: int) -> Fraction:
    """`rate n`; a whole number where the decimal rounding of `rate` alone keeps it from one."""
    share = Fraction(str(float(rate))) * n
    whole = round(share)
    return Fraction(whole) if abs(share - whole) <= Fraction(n, 2**50) else share


Scores = np.ndarray | Sequence[float] | ScoreSummary
"""What metrics accept: scores in any order, or their summary (then nothing is sorted again)."""


def summarize(scores: Scores, what: str = "scores") -> ScoreSummary:
    """Sort scores once; a summary is returned as it is.

    Parameters
    ----------
    scores : (n,) numbers, higher = more in-distribution, or a ScoreSummary.
    what : how an error names them.

    Raises
    ------
    DataError
        When there are none, they are no numbers, the shape is not (n,), or some are NaN (the
        message counts them).

    Examples
    --------
    >>> found = summarize([3.0, 1.0, 2.0])
    >>> found.values.tolist(), found.accepted(2.0)
    ([1.0, 2.0, 3.0], 2)
    """
    if isinstance(scores, ScoreSummary):
        return scores
    try:
        values = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:  # text, rows, a tensor with gradient
        raise DataError(f"{what} are no array of numbers: {error}") from error
    if values.ndim != 1:
        raise DataError(f"{what} must have shape (n,), got {values.shape}.")
    if not len(values):
        raise DataError(f"{what} are empty: at least one score is needed.")
    values = np.sort(values)
    # NaN sorts last, so counting them costs one look-up.
    n_nan = len(values) - int(np.searchsorted(values, np.nan, side="left"))
    if n_nan:
        raise DataError(
            f"{what} hold {n_nan} NaN of {len(values)}: they cannot be ranked. "
            "Check the detector's input; -inf is the way to say 'most OOD'."
        )
    values.setflags(write=False)
    return ScoreSummary(values)


def pool(summaries: Sequence[ScoreSummary]) -> ScoreSummary:
    """Summary of the union of several sets, each image counted once.

    Raises
    ------
    DataError
        When no set is given.

    Examples
    --------
    >>> pool([summarize([3.0, 1.0]), summarize([2.0])]).values.tolist()
    [1.0, 2.0, 3.0]
    """
    if len(summaries) == 1:
        return summaries[0]
    return summarize(
        np.concatenate([s.values for s in summaries] or [np.empty(0)]), "pooled scores"
    )


@dataclass(frozen=True, eq=False)
class Comparison:
    """ID and OOD counts at every distinct score: the exact ROC staircase.

    Attributes
    ----------
    n_id, n_ood : set sizes n and m.
    thresholds : (k,) distinct scores of both sets, descending.
    accepted_id, accepted_ood : (k,) int64, number of images with score >= threshold.
    """

    n_id: int
    n_ood: int
    thresholds: np.ndarray
    accepted_id: np.ndarray
    accepted_ood: np.ndarray

    @cached_property
    def at_id(self) -> np.ndarray:
        """(k,) number of ID images whose score equals the threshold."""
        return np.diff(self.accepted_id, prepend=0)

    @cached_property
    def at_ood(self) -> np.ndarray:
        """(k,) number of OOD images whose score equals the threshold."""
        return np.diff(self.accepted_ood, prepend=0)

    @property
    def tpr(self) -> np.ndarray:
        """(k,) share of ID images accepted."""
        return self.accepted_id / self.n_id

    @property
    def fpr(self) -> np.ndarray:
        """(k,) share of OOD images accepted."""
        return self.accepted_ood / self.n_ood


def compare(id_scores: Scores, ood_scores: Scores) -> Comparison:
    """Count two sets against each other; remembered per pair of summaries.

    O(n log n) for arrays; O(n) for summaries, because two sorted runs only need merging.

    Examples
    --------
    >>> counts = compare([3.0, 1.0], [2.0, 1.0])
    >>> counts.thresholds.tolist()
    [3.0, 2.0, 1.0]
    >>> counts.accepted_id.tolist(), counts.accepted_ood.tolist()
    ([1, 1, 2], [0, 1, 2])
    """
    a, b = summarize(id_scores, "ID scores"), summarize(ood_scores, "OOD scores")
    known = a._comparisons.get(b)
    if known is None:
        known = a._comparisons[b] = _merge(a.values, b.values)
    return known


def _merge(id_values: np.ndarray, ood_values: np.ndarray) -> Comparison:
    merged = np.concatenate([id_values, ood_values])
    # A stable sort of two ascending runs is one linear merge.
    order = np.argsort(merged, kind="stable")
    merged = merged[order]
    below_id = np.concatenate([[0], np.cumsum(order < len(id_values))])
    first = np.flatnonzero(np.concatenate([[True], merged[1:] != merged[:-1]]))[::-1]
    accepted_id = len(id_values) - below_id[first]
    accepted_ood = len(ood_values) - (first - below_id[first])
    return Comparison(len(id_values), len(ood_values), merged[first], accepted_id, accepted_ood)
