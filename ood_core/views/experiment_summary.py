"""What an experiment consists of, in numbers: set sizes, classes, ID test accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ood_core.activations.record import Activations
from ood_core.models.head import ClassifierHead

__all__ = ["Facts", "accuracy"]


def accuracy(acts: Activations, head: ClassifierHead) -> float | None:
    """Share of labelled images that the classifier gets right, 0-1; None without labels."""
    if acts.labels is None:
        return None
    known = acts.labels >= 0
    if not known.any():
        return None
    logits = head.logits(acts.features) if acts.logits is None else acts.logits
    return float((np.argmax(logits, axis=1) == acts.labels)[known].mean())


@dataclass(frozen=True)
class Facts:
    """An experiment in numbers.

    Attributes
    ----------
    classes : number of classes.
    fit, test : images in the fit set and in the ID test set.
    ood : OOD set name -> images.
    accuracy : share of ID test images classified right, 0-1; None without labels.
    skipped : images left out because they cannot be read.
    """

    classes: int
    fit: int
    test: int
    ood: Mapping[str, int]
    accuracy: float | None
    skipped: int

    @classmethod
    def of(cls, acts: Any) -> Facts:
        """Facts of an `ActivationSet`."""
        experiment = acts.experiment
        return cls(
            classes=acts.head.n_classes,
            fit=len(acts[experiment.fit_set]),
            test=len(acts[experiment.test_set]),
            ood={name: len(acts[name]) for name in experiment.ood_sets},
            accuracy=accuracy(acts[experiment.test_set], acts.head),
            skipped=sum(len(images) for images in acts.skipped.values()),
        )
