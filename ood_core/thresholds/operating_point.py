"""What a threshold does: images accepted per set, rates with intervals, and on which images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ood_core.errors import ConfigError
from ood_core.metrics.counts import Scores, ScoreSummary, summarize
from ood_core.metrics.intervals import binomial_interval

__all__ = [
    "Accepted",
    "Halves",
    "OperatingPoint",
    "Sample",
    "as_sample",
    "halves",
    "operating_point",
]


@dataclass(frozen=True)
class Accepted:
    """How many of n images are accepted.

    The interval is computed when it is first asked for: a page shows counts before it.
    """

    count: int
    n: int

    @property
    def rate(self) -> float:
        """Share accepted, 0-1."""
        return self.count / self.n

    @property
    def low(self) -> float:
        """Lower end of the exact 95 % interval of the rate."""
        return self._interval[0]

    @property
    def high(self) -> float:
        """Upper end of it."""
        return self._interval[1]

    @cached_property
    def _interval(self) -> tuple[float, float]:
        return binomial_interval(self.count, self.n)

    @property
    def rejected(self) -> int:
        """Number rejected."""
        return self.n - self.count

    @classmethod
    def of(cls, scores: ScoreSummary, threshold: float) -> Accepted:
        """Count the images of one set with score >= threshold."""
        return cls(scores.accepted(threshold), len(scores))


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it does.

    Attributes
    ----------
    threshold : accept when score >= threshold; ±inf accepts or rejects all.
    mode : "free", "tpr", "fpr", "cost" or "conformal".
    id : ID images accepted; its rate is the TPR.
    ood : per OOD set, images accepted; each rate is that set's FPR.
    precision : share of ID among all accepted images of these sets, NaN when none is accepted.
    how : one sentence: how the threshold was chosen and on which images.
    on : one sentence: on which images the rates were counted.
    """

    threshold: float
    mode: str
    id: Accepted
    ood: Mapping[str, Accepted]
    how: str
    on: str

    @property
    def tpr(self) -> float:
        """Share of ID images accepted, 0-1."""
        return self.id.rate

    @property
    def fpr(self) -> float:
        """Share of the images of all OOD sets together that is accepted; NaN without OOD sets."""
        total = sum(a.n for a in self.ood.values())
        return sum(a.count for a in self.ood.values()) / total if total else math.nan

    @property
    def precision(self) -> float:
        """Share of ID among accepted images, 0-1; NaN when none is accepted."""
        accepted = self.id.count + sum(a.count for a in self.ood.values())
        return self.id.count / accepted if accepted else math.nan


@dataclass(frozen=True, eq=False)
class Sample:
    """ID and OOD scores of the same images to choose on, or to count on."""

    id: ScoreSummary
    ood: Mapping[str, ScoreSummary]
    what: str = "all images given"

    @classmethod
    def of(cls, id_scores: Scores, ood: Mapping[str, Scores] | None = None) -> Sample:
        """Sort everything once; nothing is sorted again where summaries are given."""
        sets = {name: summarize(s, f"{name} scores") for name, s in (ood or {}).items()}
        return cls(summarize(id_scores, "ID scores"), sets)


@dataclass(frozen=True, eq=False)
class Halves:
    """A deterministic split: choose on `calibration`, count on `evaluation`."""

    calibration: Sample
    evaluation: Sample


def halves(
    id_scores: np.ndarray, ood: Mapping[str, np.ndarray] | None = None, seed: int = 0
) -> Halves:
    """Split every set at random into two halves, the same way each time.

    Each set is shuffled with a generator seeded by `seed`, so the split depends on nothing but the
    number of images and their order. The calibration half gets the odd one.

    Raises
    ------
    ConfigError
        When a set has fewer than two images.

    Examples
    --------
    >>> found = halves(np.arange(5.0), {"far": np.arange(4.0)})
    >>> len(found.calibration.id), len(found.evaluation.id)
    (3, 2)
    """
    parts: list[dict[str, ScoreSummary]] = [{}, {}]
    sets = {"": id_scores, **(ood or {})}
    for name, scores in sets.items():
        values = np.asarray(scores, dtype=np.float64)
        if len(values) < 2:
            raise ConfigError(
                f"{name or 'the ID test set'} has {len(values)} images: too few to split."
            )
        order = np.random.default_rng(seed).permutation(len(values))
        middle = (len(values) + 1) // 2
        parts[0][name] = summarize(values[order[:middle]])
        parts[1][name] = summarize(values[order[middle:]])
    words = ("the calibration half", "the evaluation half, which the choice never saw")
    first, second = (Sample(p.pop(""), p, word) for p, word in zip(parts, words, strict=True))
    return Halves(first, second)


def operating_point(
    threshold: float, chosen: Sample, count_on: Sample | None, mode: str, how: str
) -> OperatingPoint:
    """Count what a threshold does on `count_on`, or on the images it was chosen on."""
    counted = count_on or chosen
    same = "" if count_on or mode == "free" else ", the same that it was chosen on"
    return OperatingPoint(
        threshold=threshold,
        mode=mode,
        id=Accepted.of(counted.id, threshold),
        ood={name: Accepted.of(s, threshold) for name, s in counted.ood.items()},
        how=how,
        on=f"Counted on {counted.what}{same}.",
    )


def as_sample(id_scores: Scores | Sample, ood: Mapping[str, Scores] | None = None) -> Sample:
    """Scores as a Sample; one that is given is returned as it is."""
    return id_scores if isinstance(id_scores, Sample) else Sample.of(id_scores, ood)
