"""What happens without some neurons: scores, rates and accuracy with their activation at zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ood_core import metrics
from ood_core.activations import PENULTIMATE, Activations, LayerRecord, predicted_classes
from ood_core.data.class_numbers import class_numbers
from ood_core.errors import DataError
from ood_core.metrics.counts import Scores
from ood_core.models import ClassifierHead

__all__ = ["accuracy_effect", "drop_neurons", "rates"]


def drop_neurons(acts: Activations, head: ClassifierHead, drop: np.ndarray) -> Activations:
    """Activations of a network whose penultimate neurons `drop` always give 0.

        h'_j = 0 for j in drop,   z' = h' Wᵀ + b

    Zero is the baseline of the contributions too. Only the penultimate layer is kept, because
    the layers before it do not change.
    """
    features = np.array(acts.features)
    features[:, drop] = 0
    if acts.logits is None:
        logits = head.logits(features)
    else:
        gone = np.asarray(acts.features[:, drop], np.float64) @ head.weight[:, drop].T
        logits = np.asarray(acts.logits, np.float64) - gone
    record = LayerRecord.from_vectors(features)
    return Activations(
        {PENULTIMATE: record}, logits=logits, labels=acts.labels, ids=acts.ids, name=acts.name
    )


def rates(scores: Mapping[str, Scores], id_set: str, ood_sets: Sequence[str]) -> pd.DataFrame:
    """AUROC and FPR95 (ID positive) of one score: columns `ood_set, auroc, fpr95`."""
    inside = scores[id_set]
    rows = [
        (name, metrics.auroc(inside, scores[name]), metrics.fpr_at_tpr(inside, scores[name], 0.95))
        for name in ood_sets
    ]
    return pd.DataFrame(rows, columns=["ood_set", "auroc", "fpr95"])


def accuracy_effect(acts: Activations, head: ClassifierHead, drop: np.ndarray) -> pd.DataFrame:
    """Share of images of each class that the head classifies right, with and without neurons.

    Returns
    -------
    data frame with columns `class, n, before, after`; classes without images are left out.

    Raises
    ------
    DataError
        When the images have no labels, or labels of other classes than the head's.
    """
    if acts.labels is None or (acts.labels < 0).all():
        raise DataError(f"accuracy needs labels, and {acts.name!r} has none.")
    every = class_numbers(acts.labels, n_classes=head.n_classes, what=f"labels of {acts.name!r}")
    known = np.flatnonzero(every >= 0)
    labels = every[known]
    before = predicted_classes(acts, head)[known] == labels
    after = predicted_classes(drop_neurons(acts, head, drop))[known] == labels
    count = np.bincount(labels, minlength=head.n_classes)
    frame = pd.DataFrame({"class": list(head.names), "n": count})
    for column, right in (("before", before), ("after", after)):
        hits = np.bincount(labels, right, head.n_classes)
        frame[column] = np.divide(hits, count, out=np.zeros(len(count)), where=count > 0)
    return frame[frame["n"] > 0].reset_index(drop=True)
