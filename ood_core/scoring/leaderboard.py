"""The leaderboard: a row per detector, a column per OOD set and metric, means, intervals, ties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ood_core.errors import ConfigError, did_you_mean
from ood_core.scoring.params import params_text
from ood_core.scoring.score_set import ScoreSet
from ood_core.scoring.skipped import Skipped

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["METRICS", "Metric", "leaderboard", "means", "of_metric", "ties"]


class Metric(NamedTuple):
    """How a metric of `Evaluation` is named and read.

    Attributes
    ----------
    label : as pages print it, in percent.
    column : as the leaderboard's columns end.
    higher : whether higher is better.
    interval : whether it has a 95 % interval.
    """

    label: str
    column: str
    higher: bool
    interval: bool


METRICS = {
    "auroc": Metric("AUROC, %", "auroc", True, True),
    "fpr95": Metric("FPR95, ID positive, %", "fpr95", False, True),
    "fpr95_ood_positive": Metric(
        "FPR95, OOD positive (OpenOOD), %", "fpr95 OOD-positive", False, False
    ),
    "aupr_in": Metric("AUPR, ID positive, %", "aupr_in", True, False),
    "aupr_out": Metric("AUPR, OOD positive, %", "aupr_out", True, False),
    "detection_error": Metric("Detection error, %", "detection_error", False, False),
}
"""Metric of `Evaluation` -> how it is named and read."""

PRINTED = ("auroc", "fpr95", "fpr95_ood_positive")
"""Metrics of a printed leaderboard: AUROC and FPR95, the latter under both conventions."""


def leaderboard(
    score_sets: Sequence[ScoreSet | Skipped],
    near: Sequence[str] = (),
    metrics: Sequence[str] = PRINTED,
    *,
    intervals: bool = False,
) -> pd.DataFrame:
    """One row per score set, the best mean of the first metric first; rates in 0-1.

    Detectors that could not run come last, their figures NaN; `error` says why.

    Parameters
    ----------
    near : the OOD sets counted as near in the means.
    metrics : keys of METRICS.
    intervals : whether to add 95 % intervals, to metrics that have one.

    Returns
    -------
    DataFrame with columns `detector`, `params`, `layer`; then for each metric, which ends every
    name (`COLUMN` in METRICS), `SET COLUMN` for each OOD set, `SET COLUMN (low)` and
    `SET COLUMN (high)`, and the unweighted means over the sets `near-OOD COLUMN`,
    `far-OOD COLUMN` (where both exist) and `mean COLUMN`; then `seconds`, and `error` ("" where
    there is none) if a detector could not run.

    Raises
    ------
    ConfigError
        For an unknown metric.
    """
    import pandas as pd

    for metric in metrics:
        if metric not in METRICS:
            raise ConfigError(f"unknown metric {metric!r}. {did_you_mean(metric, METRICS)}")
    some_failed = {"error": ""} if any(isinstance(s, Skipped) for s in score_sets) else {}
    rows = []
    for s in score_sets:
        names = s.detector, params_text(s.params), s.layer
        row: dict[str, object] = dict(zip(("detector", "params", "layer"), names, strict=True))
        for metric in metrics:
            row |= _figures(s, metric, near, intervals)
        if isinstance(s, Skipped):
            rows.append(row | {"seconds": np.nan, "error": s.reason})
        else:
            rows.append(row | {"seconds": s.seconds} | some_failed)
    table = pd.DataFrame(rows)
    first = METRICS[metrics[0]]
    by = f"mean {first.column}"
    if by in table:
        table = table.sort_values(by, ascending=not first.higher, kind="stable", ignore_index=True)
    return table


def _figures(
    scores: ScoreSet | Skipped, metric: str, near: Sequence[str], intervals: bool
) -> dict[str, float]:
    """One metric of one score set under the leaderboard's column names."""
    column = METRICS[metric].column
    found: dict[str, float] = {}
    values: dict[str, float] = {}
    for name in scores.n_ood if isinstance(scores, Skipped) else scores.ood:
        e = None if isinstance(scores, Skipped) else scores.evaluate(name)
        found[f"{name} {column}"] = values[name] = float(getattr(e, metric, np.nan))
        if intervals and METRICS[metric].interval:
            for end in ("low", "high"):
                found[f"{name} {column} ({end})"] = float(getattr(e, f"{metric}_{end}", np.nan))
    return found | {f"{group} {column}": v for group, v in means(values, near).items()}


def of_metric(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One metric of a leaderboard as a page shows it: in percent, without the metric's name.

    Columns: `detector`, `mean`, `near-OOD` and `far-OOD` (where the leaderboard has them),
    `params`, `layer`, then per OOD set its name, `NAME (low)` and `NAME (high)`, and `seconds`.
    """
    figure = f" {METRICS[metric].column}"
    names = {
        c: c.removesuffix(figure + end) + end
        for c in map(str, table.columns)
        for end in ("", " (low)", " (high)")
        if c.endswith(figure + end)
    }
    kept = table[["detector", "params", "layer", *names, "seconds"]]
    kept = kept.assign(**{c: 100 * kept[c] for c in names}).rename(columns=names)
    first = [c for c in ("detector", "mean", "near-OOD", "far-OOD") if c in kept]
    return kept[first + [c for c in kept if c not in first]]


def means(values: Mapping[str, float], near: Sequence[str]) -> dict[str, float]:
    """Unweighted means over OOD sets: `near-OOD` and `far-OOD` where both exist, and `mean`.

    >>> means({"cats": 0.5, "noise": 1.0, "dogs": 0.75}, near=["cats", "dogs"])
    {'near-OOD': 0.625, 'far-OOD': 1.0, 'mean': 0.75}
    """
    if not values:
        return {}
    groups = {
        "near-OOD": [v for name, v in values.items() if name in near],
        "far-OOD": [v for name, v in values.items() if name not in near],
    }
    split = all(groups.values())
    found = {group: float(np.mean(v)) for group, v in groups.items()} if split else {}
    return found | {"mean": float(np.mean(list(values.values())))}


def ties(table: pd.DataFrame, column: str, metric: str) -> pd.Series:
    """Per row "best", "tie" (its value lies within the best one's 95 % interval) or "".

    For metrics without an interval only the best is marked.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"far": [92.0, 91.0, 85.0], "far (low)": [90.0, 89.0, 82.0],
    ...                       "far (high)": [94.0, 93.0, 88.0]})
    >>> ties(table, "far", "auroc").tolist()
    ['best', 'tie', '']
    """
    import pandas as pd

    values, rule = table[column], METRICS[metric]
    best = int(np.argmax(values) if rule.higher else np.argmin(values))
    marks = pd.Series("", index=table.index)
    if rule.interval and f"{column} (low)" in table:
        low, high = table[f"{column} (low)"].iloc[best], table[f"{column} (high)"].iloc[best]
        marks[values.between(low, high)] = "tie"
    marks[values == values.iloc[best]] = "best"
    return marks
