"""ROC and precision-recall curves: exact vertices, thinned to what can be seen."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ood_core.errors import ConfigError
from ood_core.metrics.counts import Scores, compare

__all__ = ["PrCurve", "RocCurve", "pr_curve", "roc_curve", "thin"]


@dataclass(frozen=True, eq=False)
class RocCurve:
    """Vertices of the ROC, from (0, 0) to (1, 1): arrays of equal length, thresholds descending.

    `thresholds[0]` is +inf (nothing accepted).
    """

    fpr: np.ndarray
    tpr: np.ndarray
    thresholds: np.ndarray


@dataclass(frozen=True, eq=False)
class PrCurve:
    """Vertices of the precision-recall curve: arrays of equal length, recall ascending."""

    recall: np.ndarray
    precision: np.ndarray
    thresholds: np.ndarray


def roc_curve(id_scores: Scores, ood_scores: Scores, max_points: int = 400) -> RocCurve:
    """ROC with ID positive, thinned to at most `max_points` of its exact vertices.

    The thinned curve lies within a fraction of a pixel of the exact one (`thin`).

    Examples
    --------
    >>> curve = roc_curve([3.0, 1.0], [2.0, 0.0])
    >>> curve.fpr.tolist(), curve.tpr.tolist()
    ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    c = compare(id_scores, ood_scores)
    fpr, tpr = np.concatenate([[0.0], c.fpr]), np.concatenate([[0.0], c.tpr])
    index = thin(fpr, tpr, max_points)
    return RocCurve(fpr[index], tpr[index], np.concatenate([[np.inf], c.thresholds])[index])


def pr_curve(
    id_scores: Scores, ood_scores: Scores, max_points: int = 400, positive: str = "id"
) -> PrCurve:
    """Precision against recall with "id" or "ood" as the positive class, thinned exactly.

    Raises
    ------
    ConfigError
        When `positive` is neither.

    Examples
    --------
    >>> curve = pr_curve([3.0, 1.0], [2.0, 0.0])
    >>> curve.recall.tolist()
    [0.5, 0.5, 1.0, 1.0]
    """
    c = compare(id_scores, ood_scores)
    if positive == "id":
        hits, others, n, order = c.accepted_id, c.accepted_ood, c.n_id, slice(None)
    elif positive == "ood":
        hits = c.n_ood - c.accepted_ood + c.at_ood
        others, n, order = c.n_id - c.accepted_id + c.at_id, c.n_ood, slice(None, None, -1)
    else:
        raise ConfigError(f"positive must be 'id' or 'ood', got {positive!r}.")
    recall, precision = (hits / n)[order], (hits / (hits + others))[order]
    index = thin(recall, precision, max_points)
    return PrCurve(recall[index], precision[index], c.thresholds[order][index])


def thin(
    x: np.ndarray,
    y: np.ndarray,
    max_points: int | None = None,
    *,
    tolerance: float = 1e-12,
    keep: Sequence[int] = (),
) -> np.ndarray:
    """Indices of the vertices that draw the polyline (x, y) best: of a curve, or round a region.

    Ramer-Douglas-Peucker, greedy: the vertex farthest from the line drawn so far enters next,
    until the budget is spent or every vertex lies within `tolerance` of the line. Ends and `keep`
    always stay, and each point kept is an exact vertex.

    Parameters
    ----------
    x, y : (n,) vertices in order.
    max_points : how many to keep at most; as many as the tolerance needs for None.
    tolerance : distance from the line, in the units of x and y, that is not seen.
    keep : numbers of vertices that stay.

    Returns
    -------
    (m,) int64, ascending.

    Reference
    ---------
    Douglas & Peucker, Cartographica 10 (1973).

    Examples
    --------
    >>> x, y = np.arange(5.0), np.array([0.0, 0.0, 0.1, 0.0, 1.0])
    >>> thin(x, y, 3).tolist(), thin(x, y, tolerance=0.2).tolist()
    ([0, 3, 4], [0, 3, 4])
    >>> thin(x, y).tolist()
    [0, 1, 2, 3, 4]
    """
    last = len(x) - 1
    budget = len(x) if max_points is None else max_points
    kept = sorted({0, last, *(int(i) for i in keep)})
    queue = [_farthest(x, y, a, b) for a, b in pairwise(kept)]
    heapq.heapify(queue)
    while queue and len(kept) < budget:
        negative_distance, a, split, b = heapq.heappop(queue)
        if negative_distance >= -tolerance:
            break
        kept.append(split)
        heapq.heappush(queue, _farthest(x, y, a, split))
        heapq.heappush(queue, _farthest(x, y, split, b))
    return np.array(sorted(kept))


def _farthest(x: np.ndarray, y: np.ndarray, a: int, b: int) -> tuple[float, int, int, int]:
    """(−distance, a, farthest vertex, b) of the vertices strictly between a and b.

    The distance is that from the segment between a and b: past its ends, that from an end.
    """
    if b - a < 2:
        return 0.0, a, a, b
    dx, dy = x[b] - x[a], y[b] - y[a]
    inner_x, inner_y = x[a + 1 : b] - x[a], y[a + 1 : b] - y[a]
    length = float(np.hypot(dx, dy))
    if length:
        gap = np.abs(inner_x * dy - inner_y * dx) / length
        along = (inner_x * dx + inner_y * dy) / length
        before, after = along < 0, along > length
        gap[before] = np.hypot(inner_x[before], inner_y[before])
        gap[after] = np.hypot(inner_x[after] - dx, inner_y[after] - dy)
    else:  # a closed stretch has no direction
        gap = np.hypot(inner_x, inner_y)
    split = int(np.argmax(gap))
    return -float(gap[split]), a, a + 1 + split, b
