"""Split conformal prediction: a threshold with a guarantee for any distribution, and p-values."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ood_core.errors import ConfigError
from ood_core.metrics.counts import Scores, floor_share, summarize
from ood_core.thresholds.operating_point import OperatingPoint, Sample, as_sample, operating_point

__all__ = ["conformal", "conformal_p_values"]


def conformal(
    calibration: Scores | Sample,
    ood: Mapping[str, Scores] | None = None,
    alpha: float = 0.05,
    *,
    count_on: Sample | None = None,
) -> OperatingPoint:
    """Split-conformal threshold: a new ID image is rejected with probability at most `alpha`.

    The k-th smallest of n calibration scores, k = floor(α (n + 1)); P(new < t) <= k / (n + 1) <= α
    for every n and every distribution, if new ID images and calibration images are exchangeable.
    For k = 0 (n < 1/α − 1) the only such threshold is −inf. Accepting is the same as
    `conformal_p_values(...) > alpha`. The calibration images must not have been fitted on.

    Raises
    ------
    ConfigError
        When alpha is not in (0, 1).

    Reference
    ---------
    Vovk et al., Algorithmic Learning in a Random World (2005), 4;
    Bates et al., Ann. Stat. 51 (2023).

    Examples
    --------
    >>> point = conformal([float(i) for i in range(1, 20)], alpha=0.1)
    >>> point.threshold, point.id.rejected  # k = floor(0.1 * 20) = 2: the second smallest
    (2.0, 1)
    """
    if not 0 < alpha < 1:
        raise ConfigError(f"alpha must be in (0, 1), got {alpha!r}.")
    chosen = as_sample(calibration, ood)
    n = len(chosen.id)
    k = floor_share(alpha, n + 1)
    threshold = float(chosen.id.values[k - 1]) if k else -math.inf
    how = _guarantee(alpha, n, k, chosen.what)
    return operating_point(threshold, chosen, count_on, "conformal", how)


def conformal_p_values(calibration: Scores, scores: np.ndarray) -> np.ndarray:
    """Conformal p-value of each score: (1 + #{calibration <= score}) / (n + 1), shape of `scores`.

    For a new ID image, P(p <= α) <= α. A small p speaks against the image being ID.

    Examples
    --------
    >>> conformal_p_values([1.0, 2.0, 3.0, 4.0], np.array([0.5, 2.5, 9.0])).tolist()
    [0.2, 0.6, 1.0]
    """
    known = summarize(calibration, "calibration scores")
    below = np.searchsorted(known.values, np.asarray(scores, np.float64), side="right")
    return (1 + below) / (len(known) + 1)


def _guarantee(alpha: float, n: int, k: int, what: str) -> str:
    if not k:
        return (
            f"{n} calibration images are too few for {100 * alpha:g} %: at least "
            f"{math.ceil(1 / alpha - 1e-9) - 1} are needed, so every image is accepted."
        )
    return (
        f"At most {100 * alpha:g} % of new ID images are rejected, on average over calibration "
        f"sets, whatever the distribution (conformal, k = {k} of n = {n}: {what}), as long as new "
        "ID images come from where these came from. No OOD image was used."
    )
