"""Slow, obvious versions, for tests to compare with."""

from __future__ import annotations

import numpy as np

from ood_core import metrics
from ood_core.activations import Activations
from ood_core.detectors import Detector
from ood_core.models import ClassifierHead
from ood_core.neurons import drop_neurons


def class_means(features: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Mean feature of each class, (c, d)."""
    rows = [[h for h, y in zip(features, labels, strict=True) if y == c] for c in range(n_classes)]
    return np.stack([np.mean(np.asarray(r, np.float64), axis=0) for r in rows])


def contributions(acts: Activations, head: ClassifierHead) -> np.ndarray:
    """`contrib[c] = W[c] ⊙ mean(h | y = c)`, (c, d)."""
    return head.weight * class_means(acts.features, acts.labels, head.n_classes)


def rates_without(
    acts: dict[str, Activations], head: ClassifierHead, detector: Detector, drop: np.ndarray
) -> list[tuple[float, float]]:
    """AUROC and FPR95 of a fitted detector, first set against each other, without neurons."""
    known, *others = (detector.score_samples(drop_neurons(a, head, drop)) for a in acts.values())
    return [(metrics.auroc(known, s), metrics.fpr_at_tpr(known, s, 0.95)) for s in others]
