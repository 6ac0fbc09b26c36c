"""Exact bins and exact cumulative counts of scores: what a browser gets instead of scores.

Neither grows with the number of images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ood_core.errors import ConfigError
from ood_core.metrics.counts import ScoreSummary

__all__ = ["Bins", "CumulativeCounts", "bin_scores", "cumulative_counts"]

TAIL = 0.005
"""Share of a set at either end that may lie outside a range which would otherwise be stretched."""
REACH = 4.0
"""How many spans of the ID scores the drawn range may extend to either side of them."""


@dataclass(frozen=True, eq=False)
class Bins:
    """Histogram of several sets on one axis. Bin i holds edges[i] <= score < edges[i + 1].

    Attributes
    ----------
    edges : (b + 1,) evenly spaced, ascending.
    counts : set name -> (b,) int64; each sums to the number of images of its set.
    underflow, overflow : whether the first (last) bin holds everything below (above) the drawn
        range instead of its own width; −inf is always in the underflow bin.
    minus_inf : set name -> number of scores that are −inf.
    """

    edges: np.ndarray
    counts: Mapping[str, np.ndarray]
    underflow: bool
    overflow: bool
    minus_inf: Mapping[str, int]

    @property
    def centres(self) -> np.ndarray:
        """(b,) middle of each bin."""
        return np.asarray((self.edges[:-1] + self.edges[1:]) / 2)

    def label(self, i: int) -> str:
        """The scores that bin i holds, in words."""
        last = len(self.edges) - 2
        if self.underflow and i == 0:
            infinite = ", −inf" if any(self.minus_inf.values()) else ""
            return f"below {_number(self.edges[1])}{infinite}"
        if self.overflow and i == last:
            return f"{_number(self.edges[last])} and above"
        return f"{_number(self.edges[i])} to {_number(self.edges[i + 1])}"

    @property
    def note(self) -> str:
        """What the outer bins stand for, in a sentence; empty when they are like the others."""
        parts = []
        if self.underflow:
            n = sum(int(c[0]) for c in self.counts.values())
            infinite = sum(self.minus_inf.values())
            more = f", {infinite} of them −inf" if infinite else ""
            parts.append(f"First bar: {n} scores below {_number(self.edges[1])}{more}.")
        if self.overflow:
            n = sum(int(c[-1]) for c in self.counts.values())
            parts.append(f"Last bar: {n} scores of {_number(self.edges[-2])} and above.")
        return " ".join(parts)

    def place(self, score: float) -> float:
        """Where a score is drawn: itself, or the middle of the outer bin that holds it."""
        if score < self.edges[1] and self.underflow:
            return float(self.centres[0])
        if score >= self.edges[-2] and self.overflow:
            return float(self.centres[-1])
        return float(min(max(score, self.edges[0]), self.edges[-1]))


def bin_scores(
    id_scores: ScoreSummary, ood: Mapping[str, ScoreSummary], bins: int = 80, id_name: str = "ID"
) -> Bins:
    """Histogram of the ID test set and the OOD sets, counted exactly from sorted scores.

    The range is that of all finite scores, unless a few far outliers or a very far set would
    squeeze the rest: then what lies outside is gathered in an underflow and an overflow bin.

    Raises
    ------
    ConfigError
        When bins < 2.

    Examples
    --------
    >>> from ood_core.metrics.counts import summarize
    >>> bins = bin_scores(summarize([0.0, 1.0, 1.0]), {"far": summarize([0.2])}, bins=4)
    >>> {name: int(counts.sum()) for name, counts in bins.counts.items()}
    {'ID': 3, 'far': 1}
    """
    if bins < 2:
        raise ConfigError(f"bins must be at least 2, got {bins}.")
    sets = {id_name: id_scores, **ood}
    low, high = _range(id_scores, list(ood.values()))
    width, decimals = _nice(low, high, bins)
    start = math.floor(low / width)
    n = max(2, math.floor(high / width) - start + 1)
    under = any(s.accepted(start * width) < len(s) for s in sets.values())
    over = any(s.accepted((start + n) * width) > 0 for s in sets.values())
    steps = np.arange(start - under, start + n + over + 1)
    edges = np.round(steps * width, decimals)
    inner = edges[1:-1]
    counts = {}
    for name, s in sets.items():
        reached = np.concatenate([[len(s)], s.accepted_at(inner), [0]])
        counts[name] = reached[:-1] - reached[1:]
    infinite = {name: s.n_minus_inf for name, s in sets.items()}
    return Bins(edges, counts, under, over, infinite)


@dataclass(frozen=True, eq=False)
class CumulativeCounts:
    """Accepted images per set at every threshold that a drag can take.

    Attributes
    ----------
    thresholds : (k,) ascending, distinct, finite; each survives JSON unchanged.
    accepted : set name -> (k,) int64, number of images with score >= threshold.
    """

    thresholds: np.ndarray
    accepted: Mapping[str, np.ndarray]


def cumulative_counts(
    sets: Mapping[str, ScoreSummary],
    bins: Bins,
    points: int = 1024,
    include: Sequence[float] = (),
) -> CumulativeCounts:
    """Exact counts on the grid of a dragged threshold line.

    The grid is the distinct scores within the drawn range where they are at most `points` (then
    every possible outcome is on it), or about `points` evenly spaced short numbers; the ends of the
    range and the finite numbers of `include` are always on it. The payload is O(points · sets).

    Raises
    ------
    ConfigError
        When points is not in [2, 4096].
    """
    if not 2 <= points <= 4096:
        raise ConfigError(f"points must be in [2, 4096], got {points}.")
    low, high = float(bins.edges[0]), float(bins.edges[-1])
    distinct = np.unique(np.concatenate([_within(s, low, high, points) for s in sets.values()]))
    if len(distinct) > points:
        width, decimals = _nice(low, high, points)
        steps = np.arange(math.ceil(low / width), math.floor(high / width) + 1)
        distinct = np.round(steps * width, decimals)
    extra = [float(t) for t in include if math.isfinite(t)]
    grid = np.unique(np.concatenate([distinct, [low, high], extra]))
    return CumulativeCounts(grid, {name: s.accepted_at(grid) for name, s in sets.items()})


def _within(scores: ScoreSummary, low: float, high: float, points: int) -> np.ndarray:
    """Distinct scores in [low, high], of which more than `points` are never needed."""
    start, stop = np.searchsorted(scores.values, [low, np.nextafter(high, np.inf)])
    values = scores.values[start:stop]
    return (
        values[np.concatenate([[True], values[1:] != values[:-1]])][: points + 1]
        if len(values)
        else values
    )


def _range(id_scores: ScoreSummary, ood: Sequence[ScoreSummary]) -> tuple[float, float]:
    """Finite range to draw: each end reaches the last score, unless that costs too much room."""
    finite = [s.finite for s in (id_scores, *ood) if len(s.finite)]
    if not finite:
        return 0.0, 1.0
    full = min(v[0] for v in finite), max(v[-1] for v in finite)
    low = min(v[int(TAIL * len(v))] for v in finite)
    high = max(v[len(v) - 1 - int(TAIL * len(v))] for v in finite)
    known = id_scores.finite
    if len(known) > 1 and known[-1] > known[0]:
        cut = int(TAIL * len(known))
        first, last = known[cut], known[len(known) - 1 - cut]
        reach = REACH * (last - first) or REACH * (known[-1] - known[0])
        low, high = max(low, first - reach), min(high, last + reach)
    slack = (high - low) / 2
    low = full[0] if low - full[0] <= slack else low
    high = full[1] if full[1] - high <= slack else high
    return float(low), float(high)


def _nice(low: float, high: float, parts: int) -> tuple[float, int]:
    """Step of two significant digits that cuts the range into about `parts`, and its decimals."""
    step = (high - low) / parts or max(abs(high), 1.0) / parts
    # Below this, neighbouring edges would be the same number.
    step = max(step, 8 * float(np.spacing(max(abs(low), abs(high)))))
    decimals = 1 - math.floor(math.log10(step))
    return round(step, decimals), decimals


def _number(value: float) -> str:
    """A score as a reader reads it, with the minus sign that the axes have."""
    return f"{value:.6g}".replace("-", "−")
