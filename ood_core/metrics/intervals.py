"""95 % intervals of the rates and areas that are shown: all closed form, none resampled."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

from ood_core.errors import ConfigError
from ood_core.metrics.counts import Comparison, ScoreSummary

__all__ = ["binomial_interval", "delong_interval", "rate_at_quantile_interval"]


def binomial_interval(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact (Clopper-Pearson) interval of a rate.

    Parameters
    ----------
    successes, n : count and number of trials, 0 <= successes <= n.
    level : confidence.

    Returns
    -------
    (low, high), covering the true rate with probability >= level for every n.

    Reference
    ---------
    Clopper and Pearson, Biometrika 26 (1934).

    Examples
    --------
    >>> low, high = binomial_interval(0, 10)  # nothing seen in ten is not nothing
    >>> low, round(high, 3)
    (0.0, 0.308)
    """
    from scipy.special import betaincinv

    if not 0 <= successes <= n or n < 1:
        raise ConfigError(f"a rate needs 0 <= successes <= n and n >= 1, got {successes} of {n}.")
    tail = (1 - level) / 2
    low = betaincinv(successes, n - successes + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, n - successes, 1 - tail) if successes < n else 1.0
    return float(low), float(high)


def delong_interval(counts: Comparison, area: float, level: float = 0.95) -> tuple[float, float]:
    """DeLong interval of an AUROC, formed on the logit scale so that it stays within (0, 1).

    Var(A) = Var_ID(P(ood < x) + ½P(ood = x)) / n + Var_OOD(P(id > y) + ½P(id = y)) / m; the two
    placements come from the counts, which equals the mid-rank algorithm. Where no variance shows
    (A = 0 or 1: no error seen), min(n, m) disjoint pairs that are all ordered alike give the
    exact one-sided bound (α/2)^(1/min(n, m)) instead of an interval without width. A set of one
    image gives (0, 1).

    Reference
    ---------
    DeLong et al., Biometrics 44 (1988); Sun and Xu, IEEE SPL 21 (2014).
    """
    from scipy.special import ndtri

    n, m = counts.n_id, counts.n_ood
    tail = (1 - level) / 2
    if area in (0.0, 1.0):
        bound = tail ** (1 / min(n, m))
        return (bound, 1.0) if area else (0.0, 1 - bound)
    if min(n, m) < 2:
        return 0.0, 1.0
    of_id = (m - counts.accepted_ood + counts.at_ood / 2) / m
    of_ood = (counts.accepted_id - counts.at_id / 2) / n
    variance = (
        counts.at_id @ (of_id - area) ** 2 / (n - 1) / n
        + counts.at_ood @ (of_ood - area) ** 2 / (m - 1) / m
    )
    logit = math.log(area / (1 - area))
    half = float(ndtri(1 - tail)) * math.sqrt(variance) / (area * (1 - area))
    return _expit(logit - half), _expit(logit + half)


def rate_at_quantile_interval(
    id_scores: ScoreSummary, ood_scores: ScoreSummary, k: int, quantile: float, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the OOD acceptance rate at the threshold that accepts a given share of ID.

    Two independent things are uncertain: the rate among the m OOD images at a given threshold
    (Clopper-Pearson), and the threshold, an order statistic of the n ID scores: the true quantile
    lies between two other order statistics with exactly binomial probability, and the OOD set's
    own staircase turns those into rates. Both are exact and take O(log n); they are joined by
    squares (MOVER), so that the coverage is close to `level` where a sum would be too wide.

    Parameters
    ----------
    k : the threshold is the k-th largest ID score.
    quantile : the share of ID to accept that k stands for.

    Reference
    ---------
    David and Nagaraja, Order Statistics (2003), 7.1; Zou and Donner, Stat. Med. 27 (2008).
    """
    m = len(ood_scores)
    accepted = ood_scores.accepted(id_scores.kth_largest(k))
    rate = accepted / m
    low, high = binomial_interval(accepted, m, level)
    loose, strict = _quantile_bounds(id_scores, quantile, level)
    low_t, high_t = ood_scores.accepted(strict) / m, ood_scores.accepted(loose) / m
    return (
        max(0.0, rate - math.hypot(rate - low, rate - low_t)),
        min(1.0, rate + math.hypot(high - rate, high_t - rate)),
    )


def _quantile_bounds(scores: ScoreSummary, share: float, level: float) -> tuple[float, float]:
    """Order statistics that enclose the score which `share` of the population reaches.

    The j-th largest score is at or above that point exactly when at least j of n images reach it,
    and that number is Binomial(n, share).
    """
    from scipy.special import betainc

    n, tail = len(scores), (1 - level) / 2

    def reach(j: int) -> float:
        """P(at least j of n images reach the point)."""
        return float(betainc(j, n - j + 1, share)) if j else 1.0

    j_loose = bisect_left(range(n + 1), -tail, key=lambda j: -reach(j))
    j_strict = bisect_right(range(n + 1), tail - 1, key=lambda j: -reach(j)) - 1
    loose = scores.kth_largest(j_loose) if j_loose <= n else -math.inf
    strict = scores.kth_largest(j_strict) if j_strict >= 1 else math.inf
    return loose, strict


def _expit(x: float) -> float:
    return 0.5 * (1 + math.tanh(x / 2))
