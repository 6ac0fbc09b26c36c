"""What one detector gains over another on each OOD set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ood_core.metrics.paired import Difference, auroc_difference
from ood_core.scoring.score_set import ScoreSet

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Gain", "gain", "table"]


@dataclass(frozen=True)
class Gain:
    """AUROC of a detector against that of another on the same images, 0-1.

    Attributes
    ----------
    detector, against : canonical names of the detector and of the one that it is held against.
    auroc, auroc_against : OOD set -> AUROC of each.
    differences : OOD set -> `auroc` minus `auroc_against` with its paired 95 % interval.
    """

    detector: str
    against: str
    auroc: Mapping[str, float]
    auroc_against: Mapping[str, float]
    differences: Mapping[str, Difference]

    @property
    def mean(self) -> float:
        """Mean difference over the OOD sets."""
        return float(np.mean([d.value for d in self.differences.values()]))

    @property
    def ahead(self) -> tuple[str, ...]:
        """OOD sets on which the detector is better by more than the interval allows for."""
        return tuple(name for name, d in self.differences.items() if d.low > 0)

    @property
    def behind(self) -> tuple[str, ...]:
        """OOD sets on which it is worse by more than the interval allows for."""
        return tuple(name for name, d in self.differences.items() if d.high < 0)

    @property
    def most(self) -> str:
        """OOD set of the largest gain."""
        return max(self.differences, key=lambda name: self.differences[name].value)

    @property
    def least(self) -> str:
        """OOD set of the smallest gain, or of the largest loss."""
        return min(self.differences, key=lambda name: self.differences[name].value)


def table(gains: Sequence[Gain]) -> pd.DataFrame:
    """A row per gain and OOD set: `detector, against, ood_set, auroc, auroc_against, difference,
    difference_low, difference_high`, 0-1.
    """
    import pandas as pd

    return pd.DataFrame(
        {
            "detector": g.detector,
            "against": g.against,
            "ood_set": name,
            "auroc": g.auroc[name],
            "auroc_against": g.auroc_against[name],
            "difference": d.value,
            "difference_low": d.low,
            "difference_high": d.high,
        }
        for g in gains
        for name, d in g.differences.items()
    )


def gain(scores: ScoreSet, against: ScoreSet) -> Gain:
    """What `scores` gains over `against` on each OOD set that both have, image by image.

    Raises
    ------
    DataError
        When the two are scores of other images.
    """
    shared = [name for name in scores.ood if name in against.ood]
    return Gain(
        scores.detector,
        against.detector,
        {name: scores.evaluate(name).auroc for name in shared},
        {name: against.evaluate(name).auroc for name in shared},
        {
            name: auroc_difference(
                scores.id_scores, scores.ood[name], against.id_scores, against.ood[name]
            )
            for name in shared
        },
    )
