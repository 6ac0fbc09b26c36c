"""Checks of what was read from a checkpoint and what was left in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ood_core.models.loaded_weights import AmbiguousPartsError
from ood_core.wizard.check import Check, Fix
from ood_core.wizard.draft import Draft

if TYPE_CHECKING:
    from ood_core.errors import OODLensError
    from ood_core.models import LoadedModel

__all__ = ["choices", "weights_checks"]


def weights_checks(draft: Draft, model: LoadedModel) -> Iterator[Check]:
    """What was loaded of the draft's checkpoint, from where, and what was not."""
    found = model.weights
    if not draft.checkpoint or found is None:
        return
    fitting = [name for name, how in found.others if not how.startswith("does not fit")]
    yield Check(
        "classifier", "What was loaded", True, found.text,
        fixes=tuple(_use(draft, name) for name in fitting),
    )  # fmt: skip


def choices(draft: Draft, error: OODLensError) -> tuple[Fix, ...]:
    """The weights of a checkpoint to choose from, where it holds several that fit."""
    names = error.parts if isinstance(error, AmbiguousPartsError) else ()
    return tuple(_use(draft, name) for name in names)


def _use(draft: Draft, part: str) -> Fix:
    return Fix(f"Use {part}", dataclasses.replace(draft, part=part))
