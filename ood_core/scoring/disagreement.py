"""Two detectors on the same images: where they agree, and which images each alone accepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ood_core.errors import ConfigError, did_you_mean
from ood_core.scoring.score_set import ScoreSet
from ood_core.thresholds import at_tpr

__all__ = ["GROUPS", "Disagreement", "disagreement"]

GROUPS = {
    "both_accept": "Both accept",
    "both_reject": "Both reject",
    "a_only": "Only the first accepts",
    "b_only": "Only the second accepts",
}


@dataclass(frozen=True, eq=False)
class Disagreement:
    """Two detectors at their own thresholds.

    Attributes
    ----------
    rows : one row per image: `set`, `index`, `a`, `b` (the two scores), `group` (key of GROUPS).
    counts : one row per data set, one column per group: number of images.
    threshold_a, threshold_b : accepted as ID is score >= threshold.
    correlation : Spearman's rank correlation of the two scores over all images.
    """

    rows: pd.DataFrame
    counts: pd.DataFrame
    threshold_a: float
    threshold_b: float
    correlation: float

    def group(self, name: str) -> pd.DataFrame:
        """Images of one group, those on which the two scores differ most in rank first.

        Raises
        ------
        ConfigError
            For an unknown group.
        """
        if name not in GROUPS:
            raise ConfigError(f"unknown group {name!r}. {did_you_mean(name, GROUPS)}")
        chosen = self.rows[self.rows["group"] == name]
        return chosen.sort_values("gap", ascending=False, kind="stable")


def disagreement(a: ScoreSet, b: ScoreSet, tpr: float = 0.95) -> Disagreement:
    """Compare two score sets of the same images, each at the threshold that accepts `tpr` of ID.

    Raises
    ------
    ConfigError
        When the two have different data sets or tpr is not in (0, 1].
    """
    if a.id_name != b.id_name or list(a.ood) != list(b.ood):
        raise ConfigError(
            f"the detectors were scored on different sets: {[a.id_name, *a.ood]} and "
            f"{[b.id_name, *b.ood]}."
        )
    cut_a, cut_b = at_tpr(a.summary(), tpr=tpr).threshold, at_tpr(b.summary(), tpr=tpr).threshold
    rows = _rows({a.id_name: a.id_scores, **a.ood}, {b.id_name: b.id_scores, **b.ood})
    accept_a, accept_b = rows["a"] >= cut_a, rows["b"] >= cut_b
    group = np.select(
        [accept_a & accept_b, ~accept_a & ~accept_b, accept_a & ~accept_b],
        ["both_accept", "both_reject", "a_only"],
        "b_only",
    )
    ranks = rows[["a", "b"]].rank(pct=True)
    rows = rows.assign(group=group, gap=(ranks["a"] - ranks["b"]).abs())
    counts = rows.groupby(["set", "group"], sort=False).size().unstack(fill_value=0)
    return Disagreement(
        rows,
        counts.reindex(index=[a.id_name, *a.ood], columns=list(GROUPS), fill_value=0),
        cut_a,
        cut_b,
        float(np.corrcoef(ranks["a"], ranks["b"])[0, 1]) if len(rows) > 1 else float("nan"),
    )


def _rows(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"set": name, "index": np.arange(len(a[name])), "a": a[name], "b": b[name]})
        for name in a
    ]
    return pd.concat(parts, ignore_index=True)
