"""Some values of a preprocessing changed, the others kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ood_core.experiments import Preprocessing
from ood_core.experiments.parsing import parse_preprocessing
from ood_core.wizard.draft import Draft
from ood_core.wizard.proposals import Proposal, preprocessings

__all__ = ["overridden", "overridden_proposals", "with_values"]


def overridden(base: Preprocessing, given: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing with the given values; only what contradicts one of them follows it.

    A crop is never larger than the shorter side: the one that was not given follows the other.
    With another number of channels, mean and std that were not given are the averages over the
    channels.

    Raises
    ------
    ConfigError
        When a value is out of range, naming it.

    Examples
    --------
    >>> base = Preprocessing(256, 224, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), "bicubic")
    >>> overridden(base, {"resize": 32})
    Preprocessing(resize=32, center_crop=32, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), \
interpolation='bicubic', mode='RGB')
    """
    values = {key: value for key, value in vars(base).items() if value is not None}
    values |= {key: value for key, value in given.items() if value is not None}
    resize, crop = values.get("resize"), values.get("center_crop")
    shorter = min(resize) if isinstance(resize, tuple) else resize
    if shorter and crop and crop > shorter:
        if "center_crop" in given and "resize" not in given:
            values["resize"] = crop
        elif "center_crop" not in given:
            values["center_crop"] = shorter
    channels = 1 if values["mode"] == "L" else 3
    for key in ("mean", "std"):
        if key not in given and len(values[key]) != channels:
            values[key] = (sum(values[key]) / len(values[key]),) * channels
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
    return parse_preprocessing(plain)


def overridden_proposals(draft: Draft, given: Mapping[str, Any]) -> tuple[Proposal, ...]:
    """What may be right for a draft, each with the given values, none twice."""
    found: dict[Preprocessing, Proposal] = {}
    for proposal in preprocessings(draft):
        changed = overridden(proposal.preprocessing, given)
        kept = ", ".join(key.replace("_", " ") for key in given)
        label = f"{proposal.label}, own {kept}" if given else proposal.label
        found.setdefault(changed, Proposal(label, changed))
    return tuple(found.values())


def with_values(draft: Draft, given: Mapping[str, Any]) -> Draft:
    """The draft with these values of its preprocessing; the others as they are without them.

    What the draft has none of comes from its weights or, where they bring none, from the
    likeliest proposal.

    Raises
    ------
    ConfigError
        When a value is out of range, naming it.
    """
    if not given:
        return draft
    base = draft.preprocessing or preprocessings(draft)[0].preprocessing
    return dataclasses.replace(draft, preprocessing=overridden(base, given))
