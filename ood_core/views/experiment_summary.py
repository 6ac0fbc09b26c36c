"""What an experiment consists of, in numbers: set sizes, classes, ID test accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ood_core.activations.predictions import accuracy

__all__ = ["Facts"]


@dataclass(frozen=True)
class Facts:
    """An experiment in numbers.

    Attributes
    ----------
    classes : number of classes that the network tells apart; None for one without a head.
    fit, test : images in the fit set and in the ID test set.
    ood : OOD set name -> images.
    accuracy : share of ID test images classified right, 0-1; None without labels or a head.
    skipped : images left out because they cannot be read.
    """

    classes: int | None
    fit: int
    test: int
    ood: Mapping[str, int]
    accuracy: float | None
    skipped: int

    @classmethod
    def of(cls, acts: Any) -> Facts:
        """Facts of an `ActivationSet`."""
        experiment, head = acts.experiment, acts.head
        return cls(
            classes=None if head is None else head.n_classes,
            fit=len(acts[experiment.fit_set]),
            test=len(acts[experiment.test_set]),
            ood={name: len(acts[name]) for name in experiment.ood_sets},
            accuracy=None if head is None else accuracy(acts[experiment.test_set], head),
            skipped=sum(len(images) for images in acts.skipped.values()),
        )
