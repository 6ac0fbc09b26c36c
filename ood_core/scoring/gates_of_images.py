"""Sanity gates on the images themselves: none may be in two sets that must differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ood_core.activations.duplicates import SharedImages, shared_images
from ood_core.errors import OODLensError
from ood_core.runtime.names import shown
from ood_core.scoring.gate_result import FALSE, GateResult

if TYPE_CHECKING:
    from ood_core.activations import ActivationSet

__all__ = ["leak_gate", "overlap_gate"]

MOST_COMPARED = 1000
"""Pairs of images that are decoded for each pair of sets: enough to see whether sets overlap."""


def leak_gate(acts: ActivationSet, fit: str, test: str) -> GateResult:
    """Whether the fit set and the ID test set share images."""

    def remedy(found: SharedImages) -> str:
        return (
            f"Detectors were fitted on {_these('ID test image', found)}: distances and LINe's "
            "masks know them by heart, so AUROC, FPR95 and thresholds look better here than on "
            "new images. Take a test set that is not in the fit set."
        )

    return _shared_gate(acts, "Fit and test set have no image in common", [fit], [test], remedy)


def overlap_gate(acts: ActivationSet, id_sets: Sequence[str]) -> GateResult:
    """Whether an ID set and an OOD set share images."""

    def remedy(found: SharedImages) -> str:
        role = " and ".join(f"'{name}'" for name in sorted({p.first_set for p in found.pairs}))
        return (
            f"They count as ID in {role} and as OOD, so no score can be right on both. Remove them "
            "from one of the sets."
        )

    name, ood_sets = "ID and OOD have no image in common", _present(acts)
    return _shared_gate(acts, name, id_sets, ood_sets, remedy)


def _present(acts: ActivationSet) -> list[str]:
    return [name for name in acts.experiment.ood_sets if name in acts]


def _these(what: str, found: SharedImages) -> str:
    n = _images(found)
    if not found.whole:
        return f"{what}s"
    return f"this {what}" if n == 1 else f"these {n:,} {what}s"


def _images(found: SharedImages) -> int:
    """Images of the second sets that are in a first one: in two of those they count once."""
    return len({(p.second_set, p.second_id) for p in found.pairs})


def _shared_gate(
    acts: ActivationSet,
    name: str,
    firsts: Sequence[str],
    seconds: Sequence[str],
    remedy: Callable[[SharedImages], str],
) -> GateResult:
    try:
        found = shared_images(acts, firsts, seconds, most=MOST_COMPARED)
    except (OODLensError, OSError) as error:  # files that were moved since do not undo the scores
        return GateResult(name, None, math.nan, 0.0, f"images cannot be compared: {error}")
    if not found.pairs:
        return GateResult(name, True, 0.0, 0.0, "none found")
    n, first = _images(found), found.pairs[0]
    count = f"{n:,} image{'s' if n != 1 else ''}"
    if not found.whole:
        count = f"{n:,} of {found.compared:,} looked at, of {found.alike:,} that may be the same"
    return GateResult(
        name,
        False,
        float(n),
        0.0,
        f"{count}, for example {first.second_set}/{shown(first.second_id)} = "
        f"{first.first_set}/{shown(first.first_id)}",
        remedy(found),
        FALSE,
    )
