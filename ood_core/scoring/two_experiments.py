"""Two experiments with the same detectors: which classifier knows better what it does not know."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ood_core.scoring.score_set import ScoreSet

__all__ = ["different_params", "side_by_side"]


def side_by_side(first: Sequence[ScoreSet], second: Sequence[ScoreSet]) -> pd.DataFrame:
    """Figures of the detectors that both experiments have, one row per detector and OOD set.

    OOD sets are matched by name; one that only one experiment has keeps its row, the other's
    figures empty. The images behind one name may differ between experiments.

    Returns
    -------
    DataFrame with columns `detector, ood_set, auroc_a, auroc_b, auroc_difference, apart, fpr95_a,
    fpr95_b, fpr95_difference`: percent, b minus a; FPR95 with ID positive. `apart` says whether
    the two 95 % intervals of AUROC do not overlap.
    """
    others = {s.detector: s for s in second}
    rows = []
    for a in first:
        b = others.get(a.detector)
        if b is None:
            continue
        for name in dict.fromkeys([*a.ood, *b.ood]):
            rows.append({"detector": a.detector, "ood_set": name} | _row(a, b, name))
    columns = [
        "detector", "ood_set", "auroc_a", "auroc_b", "auroc_difference", "apart",
        "fpr95_a", "fpr95_b", "fpr95_difference",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _row(a: ScoreSet, b: ScoreSet, name: str) -> dict[str, object]:
    ea = a.evaluate(name) if name in a.ood else None
    eb = b.evaluate(name) if name in b.ood else None
    row: dict[str, object] = {}
    for metric in ("auroc", "fpr95"):
        va = 100 * getattr(ea, metric) if ea else None
        vb = 100 * getattr(eb, metric) if eb else None
        row |= {f"{metric}_a": va, f"{metric}_b": vb}
        row[f"{metric}_difference"] = None if va is None or vb is None else vb - va
    if ea and eb:
        row["apart"] = ea.auroc_high < eb.auroc_low or eb.auroc_high < ea.auroc_low
    return row


def different_params(a: ScoreSet, b: ScoreSet) -> tuple[str, str] | None:
    """Parameters of a detector that differ between two score sets, as text; None when none do."""
    names = [n for n in a.params if n in b.params and a.params[n] != b.params[n]]
    if not names:
        return None
    ours, theirs = (", ".join(f"{n} = {_short(s.params[n])}" for n in names) for s in (a, b))
    return ours, theirs


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
