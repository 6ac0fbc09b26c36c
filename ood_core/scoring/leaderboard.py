"""The leaderboard as a page shows it: one metric, a column per OOD set, intervals and ties."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ood_core.errors import ConfigError, did_you_mean
from ood_core.scoring import tables
from ood_core.scoring.score_set import ScoreSet, params_text

__all__ = ["METRICS", "board", "ties", "unavailable"]

METRICS = {
    "auroc": ("AUROC, %", True, True),
    "fpr95": ("FPR95, ID positive, %", False, True),
    "fpr95_ood_positive": ("FPR95, OOD positive (OpenOOD), %", False, False),
    "aupr_in": ("AUPR, ID positive, %", True, False),
    "aupr_out": ("AUPR, OOD positive, %", True, False),
    "detection_error": ("Detection error, %", False, False),
}
"""Metric -> (label, higher is better, has an interval)."""


def board(
    score_sets: Sequence[ScoreSet], metric: str = "auroc", near: Sequence[str] = ()
) -> pd.DataFrame:
    """One row per detector, the best mean first, in percent.

    Columns: `detector`, the means `mean`, `near-OOD` and `far-OOD` (where both exist), `params`,
    `layer`, then per OOD set its name, `NAME (low)` and `NAME (high)` (95 % interval, where the
    metric has one), and `seconds`.

    Raises
    ------
    ConfigError
        For an unknown metric.
    """
    if metric not in METRICS:
        raise ConfigError(f"unknown metric {metric!r}. {did_you_mean(metric, METRICS)}")
    _, higher, interval = METRICS[metric]
    rows = []
    for scores in score_sets:
        row: dict[str, object] = {
            "detector": scores.detector,
            "params": params_text(scores.params),
            "layer": scores.layer,
        }
        values = {}
        for name in scores.ood:
            e = scores.evaluate(name)
            values[name] = 100 * float(getattr(e, metric))
            row[name] = values[name]
            if interval:
                row[f"{name} (low)"] = 100 * float(getattr(e, f"{metric}_low"))
                row[f"{name} (high)"] = 100 * float(getattr(e, f"{metric}_high"))
        rows.append(row | tables.means(values, near) | {"seconds": scores.seconds})
    table = pd.DataFrame(rows).sort_values("mean", ascending=not higher, kind="stable")
    first = [c for c in ("detector", "mean", "near-OOD", "far-OOD") if c in table]
    return table[first + [c for c in table if c not in first]].reset_index(drop=True)


def ties(table: pd.DataFrame, column: str, metric: str) -> pd.Series:
    """Per row "best", "tie" (its value lies within the best one's 95 % interval) or "".

    For metrics without an interval only the best is marked.
    """
    _, higher, interval = METRICS[metric]
    values = table[column]
    best = int(np.argmax(values) if higher else np.argmin(values))
    marks = pd.Series("", index=table.index)
    if interval and f"{column} (low)" in table:
        low, high = table[f"{column} (low)"].iloc[best], table[f"{column} (high)"].iloc[best]
        marks[values.between(low, high)] = "tie"
    marks[values == values.iloc[best]] = "best"
    return marks


def unavailable(detectors: Sequence[str], acts: object, head: object) -> dict[str, str]:
    """Detector -> why it cannot run on this fit set, for those that cannot."""
    from ood_core.detectors import make_detector

    reasons = {}
    for name in detectors:
        reason = make_detector(name).unavailable_reason(acts, head)  # type: ignore[arg-type]
        if reason:
            reasons[name] = reason
    return reasons
