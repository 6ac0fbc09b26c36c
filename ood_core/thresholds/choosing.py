"""How to choose a threshold: ID acceptance, OOD acceptance, cost, conformal, or by hand.

An image is accepted as ID when score >= threshold, everywhere. Every choice says in a sentence on
which images it was made, and can be counted on others (`halves`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ood_core.errors import ConfigError
from ood_core.metrics.counts import Scores, ScoreSummary, compare, floor_share, pool
from ood_core.metrics.evaluation import needed
from ood_core.thresholds.conformal import conformal
from ood_core.thresholds.operating_point import (
    OperatingPoint,
    Sample,
    as_sample,
    operating_point,
)

__all__ = [
    "PREVALENCE",
    "at",
    "at_cost",
    "at_fpr",
    "at_threshold",
    "at_tpr",
    "check_at",
]

PREVALENCE = 0.5
"""Share of OOD images in use where none is given. ID and OOD are then equally common, so the cost
ratio alone decides; and it is what `cost=10` means in recipes that leave the share out."""


def at(text: str, sample: Sample, *, count_on: Sample | None = None) -> OperatingPoint:
    """Operating point from one line of text, as `--at` and recipes have it.

    Parameters
    ----------
    text : "tpr=0.95", "fpr=0.05", "alpha=0.05" (conformal), "cost=10,prevalence=0.1" or
        "threshold=1.25". The prevalence may be left out: PREVALENCE.

    Raises
    ------
    ConfigError
        When the text is none of these, or as the chosen mode does.

    Examples
    --------
    >>> at("threshold=2", as_sample([3.0, 2.0, 1.0], {"far": [2.5, 0.5]})).tpr
    0.6666666666666666
    >>> at("fpr=0.5", as_sample([3.0, 2.0, 1.0], {"far": [2.5, 0.5]})).fpr
    0.5
    """
    values = _read(text)
    match sorted(values):
        case ["tpr"]:
            return at_tpr(sample, tpr=values["tpr"], count_on=count_on)
        case ["fpr"]:
            return at_fpr(sample, fpr=values["fpr"], count_on=count_on)
        case ["alpha"]:
            return conformal(sample, alpha=values["alpha"], count_on=count_on)
        case ["cost"] | ["cost", "prevalence"]:
            share = values.get("prevalence", PREVALENCE)
            return at_cost(sample, None, values["cost"], share, count_on=count_on)
        case ["threshold"]:
            return at_threshold(count_on or sample, None, values["threshold"])
    raise ConfigError(f"cannot read {text!r}: {_AT_HELP}")


def check_at(text: str) -> None:
    """Raise ConfigError, as `at` does, for a text that no scores could be judged by."""
    at(text, Sample.of([0.0], {"any": [0.0]}))


_AT_HELP = (
    "write tpr=0.95, fpr=0.05, alpha=0.05, threshold=1.25 or cost=10,prevalence=0.1 (rates in 0-1)."
)


def _read(text: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        try:
            values[name.strip()] = float(value)
        except ValueError as error:
            raise ConfigError(f"cannot read {text!r}: {_AT_HELP}") from error
    return values


def at_threshold(
    id_scores: Scores | Sample, ood: Mapping[str, Scores] | None = None, threshold: float = 0.0
) -> OperatingPoint:
    """Operating point of a threshold set by hand.

    Raises
    ------
    ConfigError
        When the threshold is NaN.
    """
    if math.isnan(threshold):
        raise ConfigError("threshold must be a number, got NaN.")
    return operating_point(
        float(threshold), as_sample(id_scores, ood), None, "free", "Set by hand."
    )


def at_tpr(
    id_scores: Scores | Sample,
    ood: Mapping[str, Scores] | None = None,
    tpr: float = 0.95,
    *,
    count_on: Sample | None = None,
) -> OperatingPoint:
    """The highest threshold that accepts at least `tpr` of the ID images; `fpr_at_tpr`'s.

    Parameters
    ----------
    id_scores, ood : scores to choose on (only the ID scores are used), or a Sample of both.
    tpr : share of ID images to accept, in (0, 1].
    count_on : other images to count the rates on, such as `halves(...).evaluation`.

    Raises
    ------
    ConfigError
        When tpr is not in (0, 1].

    Examples
    --------
    >>> at_tpr([3.0, 2.0, 1.0, 0.5], tpr=0.75).threshold
    1.0
    """
    chosen = as_sample(id_scores, ood)
    threshold = chosen.id.kth_largest(needed(tpr, len(chosen.id), "tpr"))
    how = (
        f"The highest threshold that accepts at least {100 * tpr:g} % of {len(chosen.id)} ID "
        f"images ({chosen.what}). No OOD image was used."
    )
    return operating_point(threshold, chosen, count_on, "tpr", how)


def at_fpr(
    id_scores: Scores | Sample,
    ood: Mapping[str, Scores] | None = None,
    fpr: float = 0.05,
    *,
    count_on: Sample | None = None,
) -> OperatingPoint:
    """The lowest score that accepts at most `fpr` of all OOD images, the sets pooled.

    Raises
    ------
    ConfigError
        When fpr is not in [0, 1) or there is no OOD set.

    Examples
    --------
    >>> point = at_fpr([3.0, 2.0, 1.0], {"far": [2.5, 0.5]}, fpr=0.5)
    >>> point.threshold, point.tpr
    (1.0, 1.0)
    """
    if not 0 <= fpr < 1:
        raise ConfigError(f"fpr must be in [0, 1), got {fpr!r}.")
    chosen = as_sample(id_scores, ood)
    pooled = _pooled(chosen, "fpr")
    allowed = floor_share(fpr, len(pooled))
    # The first OOD image that must be rejected; accept only what lies above it.
    threshold = _next_above(pooled.kth_largest(allowed + 1), chosen.id, pooled)
    how = (
        f"The lowest score that accepts at most {100 * fpr:g} % of {len(pooled):,} OOD images "
        f"({chosen.what}, sets pooled). A threshold chosen on OOD images is tuned to them."
    )
    return operating_point(threshold, chosen, count_on, "fpr", how)


def at_cost(
    id_scores: Scores | Sample,
    ood: Mapping[str, Scores] | None = None,
    cost_ratio: float = 1.0,
    prevalence: float = PREVALENCE,
    *,
    count_on: Sample | None = None,
) -> OperatingPoint:
    """The threshold of the least expected cost (1 − π) FNR + π r FPR.

    Parameters
    ----------
    cost_ratio : r, cost of accepting an OOD image over the cost of rejecting an ID image, > 0.
    prevalence : π, share of OOD images in use, in [0, 1].

    FPR is that of all OOD images, the sets pooled. Of equal costs the lowest threshold wins.

    Raises
    ------
    ConfigError
        When a parameter is out of range or there is no OOD set.

    Examples
    --------
    >>> at_cost([3.0, 2.0], {"far": [1.0, 0.5]}).tpr
    1.0
    """
    if not (cost_ratio > 0 and math.isfinite(cost_ratio)):
        raise ConfigError(f"cost_ratio must be a number > 0, got {cost_ratio!r}.")
    if not 0 <= prevalence <= 1:
        raise ConfigError(f"prevalence must be in [0, 1], got {prevalence!r}.")
    chosen = as_sample(id_scores, ood)
    pooled = _pooled(chosen, "cost")
    c = compare(chosen.id, pooled)
    cost = (1 - prevalence) * (1 - c.tpr) + prevalence * cost_ratio * c.fpr
    best = len(cost) - 1 - int(np.argmin(cost[::-1]))
    reject_all = 1 - prevalence
    threshold = math.inf if reject_all < cost[best] else float(c.thresholds[best])
    how = (
        f"The least expected cost when accepting an OOD image costs {cost_ratio:g} times as much "
        f"as rejecting an ID image and {100 * prevalence:g} % of images are OOD ({chosen.what}, "
        "OOD sets pooled). A threshold chosen on OOD images is tuned to them."
    )
    return operating_point(threshold, chosen, count_on, "cost", how)


def _pooled(sample: Sample, mode: str) -> ScoreSummary:
    if not sample.ood:
        raise ConfigError(f"mode {mode!r} chooses on OOD scores: give at least one OOD set.")
    return pool(list(sample.ood.values()))


def _next_above(value: float, *sets: ScoreSummary) -> float:
    """The lowest score above `value` in any set; +inf when there is none."""
    above = [int(np.searchsorted(s.values, value, side="right")) for s in sets]
    found = [float(s.values[i]) for s, i in zip(sets, above, strict=True) if i < len(s)]
    return min(found, default=math.inf)
