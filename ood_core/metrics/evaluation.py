"""How well scores separate ID from OOD. Higher score = more in-distribution, ID is positive.

Every function takes ID and OOD scores as arrays or as `ScoreSummary` (sorted once, counted once).
Two conventions of FPR95 exist and give different numbers for the same scores; `fpr_at_tpr` is the
one of the NAN and LINe papers (ID positive), `fpr_at_tpr_ood_positive` the one of OpenOOD.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from ood_core.errors import ConfigError
from ood_core.metrics.counts import Scores, ceil_share, compare, summarize
from ood_core.metrics.intervals import delong_interval, rate_at_quantile_interval

__all__ = [
    "Evaluation",
    "aupr_in",
    "aupr_out",
    "auroc",
    "auroc_interval",
    "detection_error",
    "evaluate",
    "fpr_at_tpr",
    "fpr_at_tpr_ood_positive",
    "fpr_interval",
    "score_warnings",
]

logger = logging.getLogger("ood_core.metrics")


def auroc(id_scores: Scores, ood_scores: Scores) -> float:
    """Area under the ROC curve: P(id > ood) + ½ P(id = ood), counted exactly (Mann-Whitney).

    Examples
    --------
    >>> auroc([3.0, 2.0], [1.0, 2.0])  # of four pairs three are right and one is tied
    0.875
    """
    c = compare(id_scores, ood_scores)
    twice_wins = int(c.at_id @ (2 * (c.n_ood - c.accepted_ood) + c.at_ood))
    return twice_wins / (2 * c.n_id * c.n_ood)


def auroc_interval(
    id_scores: Scores, ood_scores: Scores, level: float = 0.95
) -> tuple[float, float]:
    """DeLong interval (low, high) of the AUROC; see `intervals.delong_interval`.

    Examples
    --------
    >>> low, high = auroc_interval([4.0, 3.0, 2.0, 1.0], [2.5, 0.5, 0.2, 0.1])
    >>> round(low, 2), round(high, 2)
    (0.35, 0.99)
    """
    return delong_interval(
        compare(id_scores, ood_scores), auroc(id_scores, ood_scores), check_level(level)
    )


def fpr_at_tpr(id_scores: Scores, ood_scores: Scores, tpr: float = 0.95) -> float:
    """Share of OOD images accepted at the threshold that accepts `tpr` of the ID images.

    `mean(ood >= t)`, t = the k-th largest ID score, k = ceil(tpr n): the first point of the ROC
    with TPR >= tpr. Ties with t are accepted; nothing is interpolated. ID is positive.

    Raises
    ------
    ConfigError
        When tpr is not in (0, 1].

    Examples
    --------
    >>> fpr_at_tpr([4.0, 3.0, 2.0, 1.0], [2.5, 0.5], tpr=0.75)  # t = 2.0
    0.5
    """
    a, b = summarize(id_scores, "ID scores"), summarize(ood_scores, "OOD scores")
    return b.accepted(a.kth_largest(needed(tpr, len(a), "tpr"))) / len(b)


def fpr_interval(
    id_scores: Scores, ood_scores: Scores, tpr: float = 0.95, level: float = 0.95
) -> tuple[float, float]:
    """Interval (low, high) of `fpr_at_tpr`; see `intervals.rate_at_quantile_interval`."""
    a, b = summarize(id_scores, "ID scores"), summarize(ood_scores, "OOD scores")
    return rate_at_quantile_interval(a, b, needed(tpr, len(a), "tpr"), tpr, check_level(level))


def fpr_at_tpr_ood_positive(id_scores: Scores, ood_scores: Scores, tpr: float = 0.95) -> float:
    """OpenOOD's number: share of ID images rejected where `tpr` of the OOD images are detected.

    `mean(id <= t)`, t = the k-th smallest OOD score, k = ceil(tpr m). OOD is positive. This is
    the first ROC point with TPR >= tpr; OpenOOD thins its ROC before looking (`drop_intermediate`)
    and can land later only inside runs of equal-sized groups of ties.

    Examples
    --------
    >>> fpr_at_tpr_ood_positive([4.0, 3.0, 2.0, 1.0], [2.5, 0.5], tpr=0.95)  # t = 2.5
    0.5
    """
    a, b = summarize(id_scores, "ID scores"), summarize(ood_scores, "OOD scores")
    threshold = b.values[needed(tpr, len(b), "tpr") - 1]
    return int(np.searchsorted(a.values, threshold, side="right")) / len(a)


def aupr_in(id_scores: Scores, ood_scores: Scores) -> float:
    """Average precision with ID positive: Σ (R_j − R_{j−1}) P_j over the distinct scores.

    Depends on the ratio ID : OOD. scikit-learn's `average_precision_score`.

    Examples
    --------
    >>> aupr_in([3.0, 1.0], [2.0])  # precision 1 at recall 1/2, then 2/3 at recall 1
    0.8333333333333333
    """
    c = compare(id_scores, ood_scores)
    return float(c.at_id @ (c.accepted_id / (c.accepted_id + c.accepted_ood)) / c.n_id)


def aupr_out(id_scores: Scores, ood_scores: Scores) -> float:
    """Average precision with OOD positive (scores negated). Depends on the ratio ID : OOD.

    Examples
    --------
    >>> aupr_out([3.0, 1.0], [2.0])  # the only OOD image comes second
    0.5
    """
    c = compare(id_scores, ood_scores)
    rejected_ood = c.n_ood - c.accepted_ood + c.at_ood
    rejected_id = c.n_id - c.accepted_id + c.at_id
    return float(c.at_ood @ (rejected_ood / (rejected_ood + rejected_id)) / c.n_ood)


def detection_error(id_scores: Scores, ood_scores: Scores) -> float:
    """Smallest balanced error over all thresholds: min_t ½ (FNR + FPR), at most 0.5.

    Examples
    --------
    >>> detection_error([3.0, 1.0], [2.0, 0.0])  # at t = 3 or t = 1
    0.25
    """
    c = compare(id_scores, ood_scores)
    return float(min(0.5, (1 - c.tpr + c.fpr).min() / 2))


@dataclass(frozen=True)
class Evaluation:
    """All figures of one ID set against one OOD set; rates in 0-1, intervals at 95 %.

    `fpr95` has ID positive, `fpr95_ood_positive` is OpenOOD's. `threshold` is the one of `fpr95`.
    `warnings` are sentences about scores that make the figures doubtful.
    """

    auroc: float
    auroc_low: float
    auroc_high: float
    fpr95: float
    fpr95_low: float
    fpr95_high: float
    fpr95_ood_positive: float
    aupr_in: float
    aupr_out: float
    detection_error: float
    threshold: float
    n_id: int
    n_ood: int
    warnings: tuple[str, ...] = ()


def evaluate(id_scores: Scores, ood_scores: Scores) -> Evaluation:
    """Every metric of one ID set against one OOD set, from one sort of each.

    Raises
    ------
    DataError
        When a set is empty or holds NaN (the message counts them).

    Examples
    --------
    >>> found = evaluate([3.0, 2.0, 1.5], [1.0, 0.5])
    >>> found.auroc, found.fpr95, found.threshold
    (1.0, 0.0, 1.5)
    """
    a, b = summarize(id_scores, "ID scores"), summarize(ood_scores, "OOD scores")
    warnings = score_warnings(a, b)
    constant = len(compare(a, b).thresholds) == 1
    for warning in warnings:
        logger.log(logging.WARNING if constant else logging.INFO, warning)
    auroc_low, auroc_high = auroc_interval(a, b)
    fpr_low, fpr_high = fpr_interval(a, b)
    return Evaluation(
        auroc=auroc(a, b),
        auroc_low=auroc_low,
        auroc_high=auroc_high,
        fpr95=fpr_at_tpr(a, b),
        fpr95_low=fpr_low,
        fpr95_high=fpr_high,
        fpr95_ood_positive=fpr_at_tpr_ood_positive(a, b),
        aupr_in=aupr_in(a, b),
        aupr_out=aupr_out(a, b),
        detection_error=detection_error(a, b),
        threshold=a.kth_largest(needed(0.95, len(a), "tpr")),
        n_id=len(a),
        n_ood=len(b),
        warnings=warnings,
    )


def score_warnings(id_scores: Scores, ood_scores: Scores) -> tuple[str, ...]:
    """Sentences about constant, tied or −inf scores; empty when nothing is wrong.

    Examples
    --------
    >>> score_warnings([1.0, 2.0], [-float("inf")])
    ('1 of 3 scores are -inf and count as most OOD.',)
    """
    c = compare(id_scores, ood_scores)
    total = c.n_id + c.n_ood
    if len(c.thresholds) == 1:
        return (
            f"The score is constant: all {total} images get {c.thresholds[0]:g}, so nothing is "
            "separated (AUROC 0.5).",
        )
    found = []
    if len(c.thresholds) < 0.99 * total:
        found.append(
            f"Only {100 * len(c.thresholds) / total:.1f} % of {total} scores are distinct: images "
            "with equal scores are accepted or rejected together, so rates move in steps."
        )
    if c.thresholds[-1] == -np.inf:
        n = int(c.at_id[-1] + c.at_ood[-1])
        found.append(f"{n} of {total} scores are -inf and count as most OOD.")
    return tuple(found)


def needed(rate: float, n: int, name: str) -> int:
    """How many of n images it takes to reach the rate: ceil(rate n), from 1 to n.

    Raises
    ------
    ConfigError
        When the rate is not in (0, 1].

    Examples
    --------
    >>> needed(0.95, 20, "tpr"), needed(0.95, 21, "tpr")
    (19, 20)
    """
    if not 0 < rate <= 1:
        raise ConfigError(f"{name} must be in (0, 1], got {rate!r}.")
    return ceil_share(rate, n)


def check_level(level: float) -> float:
    """The confidence level, checked to be in (0, 1).

    Raises
    ------
    ConfigError
        When it is not.
    """
    if not 0 < level < 1:
        raise ConfigError(f"level must be in (0, 1), got {level!r}.")
    return level
