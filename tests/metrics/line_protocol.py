"""The figures as LINe's evaluation computes them, to compare with printed tables digit by digit.

DICE, ReAct, ASH and LINe share it. It differs from `ood_core.metrics` wherever scores tie: its
threshold is strict, so a constant score gets FPR95 0. Not for judging detectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ood_core.metrics.counts import Scores, compare, summarize

__all__ = ["LineMetrics", "line_metrics"]


@dataclass(frozen=True)
class LineMetrics:
    """Figures in 0-1: FPR at 95 % TPR, AUROC, size-weighted detection error, trapezoid AUPRs."""

    fpr95: float
    auroc: float
    detection_error: float
    aupr_in: float
    aupr_out: float


def line_metrics(id_scores: Scores, ood_scores: Scores) -> LineMetrics:
    """Figures of LINe's `util/metrics.py`, ID positive.

    FPR95 is `mean(ood > t)`, t = sorted ID score number round(0.05 n), halves to even. The
    detection error is `min (FN + FP) / (n + m)`. The areas under the precision-recall curves are
    trapezoids over the distinct scores with the end points that the code appends: precision ½
    where everything is on the positive side and 0 where nothing is.

    Reference
    ---------
    YongHyun-Ahn/LINe, util/metrics.py at 465ddf5 (SPEC of this project, 3.1).
    """
    a, b = summarize(id_scores, "ID scores"), summarize(ood_scores, "OOD scores")
    c = compare(a, b)
    threshold = a.values[round(0.05 * len(a))]
    above = len(b) - int(np.searchsorted(b.values, threshold, side="right"))
    tp = np.concatenate([[0], c.accepted_id])
    fp = np.concatenate([[0], c.accepted_ood])
    fn, tn = c.n_id - tp, c.n_ood - fp
    wins = c.at_id @ (2 * (c.n_ood - c.accepted_ood) + c.at_ood)
    return LineMetrics(
        fpr95=above / len(b),
        auroc=int(wins) / (2 * c.n_id * c.n_ood),
        detection_error=float((fn + fp).min() / (c.n_id + c.n_ood)),
        aupr_in=_trapezoid(tp, tp + fp),
        aupr_out=_trapezoid(tn[::-1], (tn + fn)[::-1]),
    )


def _trapezoid(hits: np.ndarray, called: np.ndarray) -> float:
    """Area under precision over recall; both counts ascend from 0 to all."""
    recall = np.concatenate([[0.0], hits[1:] / hits[-1], [1.0]])
    precision = np.concatenate([[0.0], hits[1:] / called[1:], [0.5]])
    return float(np.trapezoid(precision, recall))
