"""Sanity gates: what must hold before scores mean anything, each measured, with its remedy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ood_core.activations import PENULTIMATE
from ood_core.activations.predictions import accuracy, predicted_classes
from ood_core.scoring.gate_result import FALSE, PARTLY, GateResult
from ood_core.scoring.gates_of_images import leak_gate, overlap_gate

if TYPE_CHECKING:
    from ood_core.activations import ActivationSet, LayerRecord
    from ood_core.activations.stored import StoredActivations
    from ood_core.models import ClassifierHead

__all__ = ["run_gates"]

HEAD_ERROR = 1e-3
"""Largest |hWᵀ + b - z| accepted, as a share of the largest |z|: float32 keeps to about 1e-6."""

ACCURACY_MARGIN = 0.02
"""What ID accuracy may fall short of the expected value by, beyond chance."""

ACCURACY_UNDECLARED = 0.5
"""Least ID accuracy where no expected value is declared."""

FITS_BETTER = 0.2
"""Accuracy that another order of the classes must gain before it is proposed."""

INACTIVE_SHARE = 0.05
"""Least share of units <= 0 for which counting active units says something."""

SHIFT = 0.2
"""Largest fit/test shift accepted: a small effect in Cohen's terms."""


ROUNDING = 1e-5
"""Deviation of a feature, as a share of its mean, that is float32's and no variation."""


def run_gates(acts: ActivationSet, layer: str | None = None) -> tuple[GateResult, ...]:
    """Every gate, in the order in which to read them.

    Parameters
    ----------
    acts : activations of an experiment's sets.
    layer : layer whose zeros and negatives are counted; the penultimate one for None.
    """
    exp = acts.experiment
    fit, test = acts[exp.fit_set], acts[exp.test_set]
    record = test.layer(layer)
    where = layer or PENULTIMATE
    return (
        _head_gate(test, acts.need_head()),
        _accuracy_gate(test, acts.need_head(), exp.classifier.expected_accuracy),
        _classes_gate(fit, acts.need_head()),
        _inactive_gate(record, where),
        _negatives_gate(record, where),
        _shift_gate(fit, test),
        leak_gate(acts, fit.name, test.name),
        overlap_gate(acts, (fit.name, test.name)),
        _skipped_gate(acts),
    )


def _head_gate(test: StoredActivations, head: ClassifierHead) -> GateResult:
    worst = scale = 0.0
    for piece in test.chunks():
        logits = np.asarray(piece.logits, np.float64)
        worst = max(worst, float(np.abs(head.logits(piece.features) - logits).max()))
        scale = max(scale, float(np.abs(logits).max()))
    limit = HEAD_ERROR * max(scale, 1e-12)
    ok = worst <= limit
    return GateResult(
        "The head explains the logits",
        ok,
        worst,
        limit,
        f"max |hWᵀ + b − logits| = {worst:.2g}, logits up to {scale:.3g}",
        ""
        if ok
        else "The network does more after its last linear layer, or was run with amp. "
        "Detectors that use the head (energy of changed features, LINe, ReAct, ViM) do not apply.",
        PARTLY,
    )


def _accuracy_gate(
    test: StoredActivations, head: ClassifierHead, expected: float | None
) -> GateResult:
    name, value = "ID accuracy is as expected", accuracy(test, head)
    if value is None or test.labels is None:
        return GateResult(
            name, None, math.nan, expected or math.nan, "the ID test set has no labels"
        )
    n = int((test.labels >= 0).sum())
    target = ACCURACY_UNDECLARED if expected is None else expected - ACCURACY_MARGIN
    limit = max(0.0, target - 1.96 * math.sqrt(max(target * (1 - target), 0.0) / n))
    ok = value >= limit
    declared = "not declared" if expected is None else f"expected {100 * expected:.1f} %"
    return GateResult(
        name,
        ok,
        value,
        limit,
        f"{100 * value:.2f} % of {n} right, {declared}",
        ""
        if ok
        else _other_order(test, head, value)
        or "Check the order of the class names against the network's, mean and std, "
        "the image size, and that the checkpoint belongs to this data.",
        FALSE,
    )


def _other_order(test: StoredActivations, head: ClassifierHead, value: float) -> str:
    """What to do where classes called by numbers fit far better in the other order: that of
    text, by which ImageFolder numbers folders 0, 1, 10, 2, or that of numbers."""
    names = head.names
    if not all(name.isdecimal() for name in names):
        return ""
    by_text, by_number = sorted(names), sorted(names, key=int)
    other = by_text if list(names) == by_number else by_number
    labels = np.asarray(test.labels)
    known = np.flatnonzero((labels >= 0) & (labels < len(names)))
    renumbered = np.array([other.index(name) for name in names])[labels[known]]
    fits = float((predicted_classes(test, head)[known] == renumbered).mean())
    if fits < value + FITS_BETTER:
        return ""
    return (
        f"In the order {', '.join(other[:4])}, … {100 * fits:.2f} % would be right: the network "
        "was trained so. List class_names in that order, or give numbers a label_map."
    )


def _classes_gate(fit: StoredActivations, head: ClassifierHead) -> GateResult:
    name = "Every class has fit images"
    labels = fit.labels
    if labels is None or not (labels >= 0).any():
        return GateResult(
            name, None, math.nan, 0.0, "the fit set has no labels",
            "Detectors by class (Mahalanobis, SHE, LINe's masks) need them: use class folders.",
        )  # fmt: skip
    counts = np.bincount(labels[labels >= 0], minlength=head.n_classes)
    missing = [head.names[c] for c in np.flatnonzero(counts[: head.n_classes] == 0)]
    covered = f"{head.n_classes - len(missing):,} of {head.n_classes:,} classes"
    text = f"{covered}, {counts.min()} or more each"
    if missing:
        shown = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        return GateResult(
            name, False, float(len(missing)), 0.0, f"{len(missing):,} classes have none: {shown}",
            "Add images of these classes to the fit set, or correct the class names.",
            PARTLY,
        )  # fmt: skip
    return GateResult(name, True, 0.0, 0.0, text)


def _inactive_gate(record: LayerRecord, layer: str) -> GateResult:
    units = max(1, len(record) * record.n_units)
    value = 1 - float(record.l0.sum()) / units
    zeros = 1 - float(record.l0.sum() + record.negatives.sum()) / units
    ok = value >= INACTIVE_SHARE
    return GateResult(
        f"Units of {layer} can be off",
        ok,
        value,
        INACTIVE_SHARE,
        f"{100 * zeros:.1f} % exact zeros, {100 * value:.1f} % of units at or below zero",
        ""
        if ok
        else "Almost every unit is active on every image, so sparsity hardly varies and "
        "NAN is the plain norm divided by a constant. Choose an earlier layer, or pool = flat.",
    )


def _negatives_gate(record: LayerRecord, layer: str) -> GateResult:
    value = float(record.negatives.sum()) / max(1, len(record) * record.n_units)
    ok = value == 0
    return GateResult(
        f"No negative values at {layer}",
        ok,
        value,
        0.0,
        f"{100 * value:.1f} % of units are negative",
        ""
        if ok
        else "Norms count negative values that L0 leaves out, so NAN can exceed the "
        "largest unit; ASH, SCALE and ReAct assume non-negative features. Read them with care.",
    )


def _shift_gate(fit: StoredActivations, test: StoredActivations) -> GateResult:
    """Root mean square over features of Cohen's d between fit and test means, less its expected
    value when there is no shift, 1/n_fit + 1/n_test."""
    (n, mean, var), (m, other, other_var) = _moments(fit), _moments(test)
    pooled = (var + other_var) / 2
    rounding = (ROUNDING * np.maximum(np.abs(mean), np.abs(other))) ** 2
    alive = pooled > np.maximum(rounding, max(1e-12 * float(pooled.max(initial=0.0)), 1e-300))
    effect = (mean - other)[alive] ** 2 / pooled[alive]
    value = math.sqrt(max(0.0, float(effect.mean()) - 1 / n - 1 / m)) if alive.any() else 0.0
    ok = value <= SHIFT
    return GateResult(
        "Fit and test set look alike",
        ok,
        value,
        SHIFT,
        f"mean features differ by {value:.2f} standard deviations",
        ""
        if ok
        else "Fit and test images differ in more than chance: other files (JPEG against "
        "PNG), other sizes, other classes. Thresholds set on one do not hold for the other.",
    )


def _moments(acts: StoredActivations) -> tuple[int, np.ndarray, np.ndarray]:
    """Number of rows, mean and variance of each feature, chunk by chunk."""
    n, total, square = 0, np.zeros(1), np.zeros(1)
    shift: np.ndarray | None = None  # the first row: keeps sums of squares small
    for piece in acts.chunks():
        h = np.asarray(piece.features, np.float64)
        shift = h[0] if shift is None else shift
        n, total, square = (
            n + len(h),
            total + (h - shift).sum(0),
            square + ((h - shift) ** 2).sum(0),
        )
    mean = total / n
    return n, mean + (0.0 if shift is None else shift), np.maximum(square / n - mean**2, 0.0)


def _skipped_gate(acts: ActivationSet) -> GateResult:
    name = "Every image can be read"
    skipped = [(s, *item) for s, items in acts.skipped.items() for item in items]
    if not skipped:
        return GateResult(name, True, 0.0, 0.0, f"{sum(map(len, acts.values()))} images")
    text = f"{len(skipped)} images have no score; the first: {skipped[0][2]}"
    return GateResult(name, False, float(len(skipped)), 0.0, text, "Replace or remove these files.")
