"""Which images a threshold judges wrongly, which lie at it, and which at the ends of the score.

Scores are ranked once (`Ranking`); after that each gallery, at any threshold, is a slice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ood_core.activations.predictions import predicted_classes
from ood_core.errors import ConfigError, did_you_mean
from ood_core.runtime.names import shown

if TYPE_CHECKING:
    import pandas as pd

    from ood_core.metrics.counts import ScoreSummary
    from ood_core.models import ClassifierHead

__all__ = ["KINDS", "NEAREST", "Ranking", "describe", "described"]

KINDS = {
    "false_accepts": "False accepts",
    "false_rejects": "False rejects",
    "borderline": "Borderline",
    "most_id": "Most ID",
    "most_ood": "Most OOD",
}
"""Gallery name -> title. False accepts are OOD images with score >= threshold, the highest first;
false rejects are ID images below it, the lowest first; borderline are the images nearest to it."""

NEAREST = 500
"""How many images count as borderline."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """All images of a score set in order of their score.

    Attributes
    ----------
    sets : set names; the ID test set is number 0.
    scores : (n,) ascending.
    which : (n,) number of the image's set in `sets`.
    index : (n,) the image's row in its set.
    """

    sets: tuple[str, ...]
    scores: np.ndarray
    which: np.ndarray
    index: np.ndarray

    @classmethod
    def of(cls, id_name: str, id_scores: np.ndarray, ood: Mapping[str, np.ndarray]) -> Ranking:
        """Rank the ID test set and the OOD sets together. O(n log n), once."""
        parts = [np.asarray(s, np.float64) for s in (id_scores, *ood.values())]
        scores = np.concatenate(parts)
        which = np.repeat(np.arange(len(parts), dtype=np.int16), [len(p) for p in parts])
        index = np.concatenate([np.arange(len(p), dtype=np.int64) for p in parts])
        order = np.argsort(scores, kind="stable")
        return cls((id_name, *ood), scores[order], which[order], index[order])

    def pick(
        self, kind: str, threshold: float, between: tuple[float, float] | None = None
    ) -> pd.DataFrame:
        """Images of one gallery, in the order to show.

        Parameters
        ----------
        kind : a key of KINDS.
        threshold : accepted as ID is score >= threshold.
        between : keep only scores in [low, high].

        Returns
        -------
        Data frame with `set` (categorical), `index` and `score`.

        Raises
        ------
        ConfigError
            For an unknown kind.
        """
        return self._frame(self._rows(kind, threshold, between))

    def count(self, kind: str, threshold: float, between: tuple[float, float] | None = None) -> int:
        """How many images the gallery has."""
        return len(self._rows(kind, threshold, between))

    def _rows(self, kind: str, threshold: float, between: tuple[float, float] | None) -> np.ndarray:
        if kind not in KINDS:
            raise ConfigError(f"unknown gallery {kind!r}. {did_you_mean(kind, KINDS)}")
        first, last = 0, len(self.scores)
        if between is not None:
            first = int(np.searchsorted(self.scores, between[0], side="left"))
            last = max(first, int(np.searchsorted(self.scores, between[1], side="right")))
        cut = min(max(int(np.searchsorted(self.scores, threshold, side="left")), first), last)
        if kind == "false_accepts":
            return np.arange(last - 1, cut - 1, -1)[self.which[cut:last][::-1] > 0]
        if kind == "false_rejects":
            return np.asarray(np.arange(first, cut)[self.which[first:cut] == 0])
        if kind == "most_id":
            return np.arange(last - 1, first - 1, -1)
        if kind == "most_ood":
            return np.arange(first, last)
        near = np.arange(max(first, cut - NEAREST), min(last, cut + NEAREST))
        with np.errstate(invalid="ignore"):
            distance = np.abs(self.scores[near] - threshold)
        return near[np.argsort(distance, kind="stable")][:NEAREST]

    def _frame(self, rows: np.ndarray) -> pd.DataFrame:
        import pandas as pd

        sets = pd.Categorical.from_codes(self.which[rows], categories=pd.Index(self.sets))
        return pd.DataFrame({"set": sets, "index": self.index[rows], "score": self.scores[rows]})


def describe(
    rows: pd.DataFrame,
    acts: Mapping[str, Any],
    head: ClassifierHead | None,
    summary: ScoreSummary,
    names: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """What a caption says of each image; give it one page of rows, not all of them.

    Parameters
    ----------
    rows : from `Ranking.pick`.
    acts : set name -> Activations.
    head : the classifier's head, for class names and where logits were not kept; None for a
        network without one.
    summary : the ID test set's `ScoreSummary`.
    names : class names where there is no head.

    Returns
    -------
    One dict per row with `set`, `index`, `score`, `id`, `prediction` (class name), `label` (class
    name where known, "" otherwise) and `percentile` (share of ID test scores not above, percent).
    `prediction` is left out where there is neither a head nor logits.
    """
    names = names if head is None else head.names
    percentiles = summary.percentile_of(rows["score"].to_numpy())
    sets, index = rows["set"].to_numpy(str), rows["index"].to_numpy(np.int64)
    classes = np.full(len(rows), -1, np.int64)
    for name in dict.fromkeys(sets.tolist()):
        here = sets == name
        if head is not None or acts[name].logits is not None:
            classes[here] = predicted_classes(acts[name].take(index[here]), head)
    columns = sets, index, rows["score"], percentiles, classes
    found = []
    for name, index, score, percentile, c in zip(*(c.tolist() for c in columns), strict=True):
        a = acts[name]
        label = -1 if a.labels is None else int(a.labels[index])
        found.append(
            {
                "set": name,
                "index": index,
                "score": score,
                "id": shown(a.ids[index]),
                **({"prediction": names[c]} if c >= 0 else {}),
                "label": names[label] if 0 <= label < len(names) else "",
                "percentile": percentile,
            }
        )
    return found


def described(
    rows: pd.DataFrame,
    acts: Mapping[str, Any],
    head: ClassifierHead | None,
    summary: ScoreSummary,
    names: Sequence[str] = (),
) -> pd.DataFrame:
    """`describe` of all the rows as a table: what a download holds."""
    import pandas as pd

    found = describe(rows, acts, head, summary, names)
    columns = ["set", "index", "score", "id", "prediction", "label", "percentile"]
    if found and not any("prediction" in row for row in found):
        columns.remove("prediction")
    return pd.DataFrame(found, columns=columns)
