"""What a checkpoint itself says it is, where a draft says something else, as one click each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ood_core.errors import ModelError
from ood_core.experiments.experiment import IN_ORDER
from ood_core.models.renamed import Renamed, renamed_match
from ood_core.wizard.check import Check, Fix
from ood_core.wizard.draft import Draft
from ood_core.wizard.facts import checkpoint_facts, one_checkpoint
from ood_core.wizard.proposals import for_images

__all__ = ["checkpoint_fixes", "fitting_in_order", "order_checks", "renamed_text"]

_SHOWN = 6


def checkpoint_fixes(draft: Draft) -> Iterator[Fix]:
    """Changes with which the draft's checkpoint can be loaded, or comes nearer to it."""
    if not draft.checkpoint:
        return
    if draft.part:
        yield Fix(f"Do not ask for the part {draft.part}", dataclasses.replace(draft, part=""))
    if draft.keys:
        yield Fix("Go by the names in the file", dataclasses.replace(draft, keys=""))
        return
    yield from _named(draft)
    renamed = fitting_in_order(draft)
    if renamed is not None:
        changed = dataclasses.replace(
            draft, architecture=renamed.architecture, num_classes=renamed.classes, keys=IN_ORDER,
            preprocessing=draft.preprocessing if draft.architecture else None,
        )  # fmt: skip
        yield Fix(f"Load it as {renamed.architecture}, by order and shapes", changed)


def _named(draft: Draft) -> Iterator[Fix]:
    try:
        facts = checkpoint_facts(draft.checkpoint, part=draft.part)
    except ModelError:
        return
    name, share = facts.architectures[0] if facts.architectures else ("", 0.0)
    if share <= 0.5:
        return
    if name != draft.architecture:
        changed = dataclasses.replace(
            draft, architecture=name, num_classes=facts.classes, preprocessing=None
        )
        fits = "fits completely" if share == 1 else f"is nearest ({share:.0%} of its names fit)"
        yield Fix(f"Use {name}, which {fits}", changed)
        return
    if facts.classes is not None and facts.classes != draft.num_classes:
        what = f"Set {facts.classes} classes" if facts.classes else "Use it without a head"
        yield Fix(what, dataclasses.replace(draft, num_classes=facts.classes))
    used = draft.preprocessing
    channels = facts.channels or 3
    if used is not None and len(used.mean) != channels:
        changed = dataclasses.replace(draft, preprocessing=for_images(used, channels))
        yield Fix(f"Use {'grey' if channels == 1 else 'colour'} images", changed)


def fitting_in_order(draft: Draft) -> Renamed | None:
    """The network that the draft's checkpoint fits by order and shape, where names fail."""
    if not draft.checkpoint or draft.keys:
        return None
    try:
        if draft.architecture:
            file = one_checkpoint(draft.checkpoint)
            return renamed_match(file, [draft.architecture], draft.part or None)
        return checkpoint_facts(draft.checkpoint, part=draft.part).renamed
    except ModelError:
        return None


def renamed_text(found: Renamed | None) -> str:
    """The mapping that is offered, and what it is worth."""
    if found is None:
        return ""
    names = [f"{old} → {new}" for old, new in found.names.items() if not new.endswith("_tracked")]
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return (
        f" By order and shape its tensors are those of {found.architecture} under other names: "
        f"{', '.join(names[:_SHOWN])}{more}. That is a guess until the ID accuracy is right."
    )


def order_checks(draft: Draft, classes: int) -> Iterator[Check]:
    """That names were given by order and shape, which accuracy alone can confirm."""
    if not draft.keys:
        return
    verified = (
        "Run the gates: with two tensors in each other's place the ID accuracy is far too low."
        if classes
        else "Without a head no accuracy can confirm it: load the file with its head once."
    )
    yield Check(
        "classifier", "Tensors were told by order and shape", None,
        f'keys = "{IN_ORDER}": the names in the file were not used.', verified,
    )  # fmt: skip
