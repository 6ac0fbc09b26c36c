"""What fitted detectors say of new images: the verdict of each on each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ood_core.activations.predictions import predict
from ood_core.activations.record import Activations
from ood_core.detectors import by_canonical_name
from ood_core.errors import DataError
from ood_core.models.head import ClassifierHead
from ood_core.scoring.score_set import ScoreSet, score_rows
from ood_core.thresholds import at_tpr, conformal_p_values

__all__ = ["Verdicts", "verdicts"]


@dataclass(frozen=True, eq=False)
class Verdicts:
    """One detector's verdicts on n new images, in their order.

    Attributes
    ----------
    detector : its name.
    images : sample ids.
    predictions : name of each image's predicted class; None where there are no classes.
    probability : (n,) softmax probability of the prediction, 0-1; None where there are no classes.
    score : (n,) higher = more ID.
    threshold : accepted as ID is score >= threshold.
    is_id : (n,) bool, whether it is.
    id_percentile : (n,) share of the ID test set that scores no higher, in percent.
    p_value : (n,) conformal: (1 + #{ID <= score}) / (n_ID + 1); at most α of new ID images have
        p <= α.
    """

    detector: str
    images: tuple[str, ...]
    predictions: tuple[str, ...] | None
    probability: np.ndarray | None
    score: np.ndarray
    threshold: float
    is_id: np.ndarray
    id_percentile: np.ndarray
    p_value: np.ndarray

    def records(self) -> Iterator[dict[str, Any]]:
        """One dict of plain values per image.

        Keys: `path` (the sample id), `prediction`, `probability`, `score`, `threshold`, `is_id`,
        `id_percentile`. The first two are None where there are no classes.
        """
        for i, image in enumerate(self.images):
            yield {
                "path": image,
                "prediction": None if self.predictions is None else self.predictions[i],
                "probability": None if self.probability is None else float(self.probability[i]),
                "score": float(self.score[i]),
                "threshold": self.threshold,
                "is_id": bool(self.is_id[i]),
                "id_percentile": float(self.id_percentile[i]),
            }


def verdicts(
    score_sets: Iterable[ScoreSet],
    acts: Activations,
    head: ClassifierHead | None,
    *,
    tpr: float = 0.95,
    thresholds: Mapping[str, float] | None = None,
) -> list[Verdicts]:
    """Verdicts of every detector on every new image: what the page and the command line show.

    Parameters
    ----------
    score_sets : fitted detectors with their scores of the ID test set.
    acts : the new images.
    head : the classifier's head, for class names and where the images have no logits; None for a
        network without one.
    tpr : share of the ID test set that each detector's threshold accepts, 0-1.
    thresholds : detector -> threshold, where one was chosen otherwise.

    Raises
    ------
    DataError
        Without any detector.
    """
    chosen = by_canonical_name(thresholds or {})
    names, probability = _predicted(acts, head)
    found = []
    for scores in score_sets:
        values, summary = score_rows(scores.fitted, acts), scores.summary()
        threshold = chosen.get(scores.detector)
        if threshold is None:
            threshold = at_tpr(summary, tpr=tpr).threshold
        found.append(
            Verdicts(
                detector=scores.detector,
                images=acts.ids,
                predictions=names,
                probability=probability,
                score=values,
                threshold=threshold,
                is_id=values >= threshold,
                id_percentile=summary.percentile_of(values),
                p_value=conformal_p_values(summary, values),
            )
        )
    if not found:
        raise DataError("verdicts need at least one detector, got none.")
    return found


def _predicted(
    acts: Activations, head: ClassifierHead | None
) -> tuple[tuple[str, ...] | None, np.ndarray | None]:
    """Name and probability of each image's predicted class, where there are classes."""
    if head is None and acts.logits is None:
        return None, None
    known = predict(acts, head)
    names = known.classes.tolist() if head is None else [head.names[c] for c in known.classes]
    return tuple(map(str, names)), known.probability
