"""What a fitted detector says of new images, one record each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ood_core.activations.record import Activations
from ood_core.scoring.score_set import ScoreSet, score_rows

__all__ = ["verdicts"]


def verdicts(
    scores: ScoreSet, acts: Activations, threshold: float, class_names: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """One record per new image, in order.

    Yields dicts with `path` (the sample id), `prediction` (class name), `probability` (softmax of
    the prediction), `score`, `threshold`, `is_id` (score >= threshold) and `id_percentile` (share
    of the ID test set with a score not above this one, in percent).
    """
    logits = acts.logits if acts.logits is not None else np.zeros((len(acts), 0))
    found = score_rows(scores.fitted, acts)
    percentiles = scores.summary().percentile_of(found)
    for i, name in enumerate(acts.ids):
        z = np.asarray(logits[i], np.float64)
        best = int(np.argmax(z)) if len(z) else None
        yield {
            "path": name,
            "prediction": None if best is None else class_names[best],
            "probability": None if best is None else float(1 / np.exp(z - z[best]).sum()),
            "score": float(found[i]),
            "threshold": threshold,
            "is_id": bool(found[i] >= threshold),
            "id_percentile": float(percentiles[i]),
        }
