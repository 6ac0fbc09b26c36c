"""LINe beside energy at one setting of its sliders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from ood_core.metrics.counts import ScoreSummary
from ood_core.neurons.ablation import rates

__all__ = ["LineResult", "compare_with_energy"]


@dataclass(frozen=True, eq=False)
class LineResult:
    """LINe beside energy at one setting.

    Attributes
    ----------
    rates : columns `ood_set, auroc, fpr95, energy_auroc, energy_fpr95`; ID positive, 0-1.
    line, energy : set name -> sorted scores, ID set first.
    thresholds : "line" and "energy" -> score that accepts 95 % of the ID images.
    rerouted : share of ID images whose predicted class changes by clipping.
    n_scored, n_total : images scored, and images there are; fewer scored is a preview.
    """

    rates: pd.DataFrame
    line: dict[str, ScoreSummary]
    energy: dict[str, ScoreSummary]
    thresholds: dict[str, float]
    rerouted: float
    n_scored: int
    n_total: int

    @property
    def mean(self) -> dict[str, float]:
        """Unweighted mean over OOD sets of each column of `rates`."""
        return {str(k): float(v) for k, v in self.rates.drop(columns="ood_set").mean().items()}

    @property
    def is_preview(self) -> bool:
        """Whether only a part of the images was scored."""
        return self.n_scored < self.n_total


def compare_with_energy(
    line: Mapping[str, ScoreSummary],
    energy: Mapping[str, ScoreSummary],
    rerouted: float,
    n_total: int,
) -> LineResult:
    """Rates of both scores, ID set first in both mappings, and their thresholds at 95 % of ID."""
    id_set, *ood_sets = line
    table, plain = rates(line, id_set, ood_sets), rates(energy, id_set, ood_sets)
    return LineResult(
        rates=table.assign(energy_auroc=plain["auroc"], energy_fpr95=plain["fpr95"]),
        line=dict(line),
        energy=dict(energy),
        thresholds={"line": _accepts_95(line[id_set]), "energy": _accepts_95(energy[id_set])},
        rerouted=rerouted,
        n_scored=sum(map(len, line.values())),
        n_total=n_total,
    )


def _accepts_95(scores: ScoreSummary) -> float:
    return float(scores.kth_largest((95 * len(scores) + 99) // 100))
