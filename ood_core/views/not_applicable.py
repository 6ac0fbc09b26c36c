"""What the overview's comparisons cannot be on this network or these images, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ood_core.detectors import detector_class
from ood_core.views.showcase import PAIRS, Remark

if TYPE_CHECKING:
    from ood_core.activations import ActivationSet

__all__ = ["outside", "unavailable"]


def unavailable(acts: ActivationSet, detector: str) -> str:
    """What a detector needs and this experiment lacks, as a sentence; "" where it lacks nothing."""
    fit = acts[acts.experiment.fit_set]
    return detector_class(detector).unavailable_reason(fit, acts.head) or ""


def outside(acts: ActivationSet) -> tuple[Remark, ...]:
    """Which of `PAIRS` do not apply, as one remark; none where all do."""
    reasons = {
        name: unavailable(acts, name) for name in dict.fromkeys(n for pair in PAIRS for n in pair)
    }
    lost = [pair for pair in PAIRS if any(reasons[name] for name in pair)]
    if not lost:
        return ()
    pairs = ", ".join(f"{_called(a)} against {_called(b)}" for a, b in lost)
    said = "; ".join(
        f"{_called(name)} {reason.removeprefix('it ').rstrip('.')}"
        for name, reason in reasons.items()
        if reason
    )
    return (Remark(f"Not applicable here: {pairs}", f"{said[0].upper()}{said[1:]}."),)


def _called(name: str) -> str:
    """What a sentence calls a detector."""
    kind = detector_class(name)
    title = str(kind.short or kind.title)
    return title if title[1:2].isupper() else title.lower()
