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
    from ood_core.experiments import Preprocessing
    from ood_core.models import LoadedModel
    from ood_core.models.normalisation import StoredNormalisation

__all__ = ["choices", "normalisation_checks", "scale_checks", "weights_checks"]


_LARGEST = 2.0
"""No mean or std of pixel values of 0 to 1 is above it."""
_LOOKS = "looks like one for pixel values of 0 to 255"


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


def normalisation_checks(draft: Draft, model: LoadedModel) -> Iterator[Check]:
    """Whether the preprocessing has the mean and std that the checkpoint stores, if any."""
    stored = model.weights.normalisations if draft.checkpoint and model.weights else ()
    if not stored:
        return
    name, used = "Mean and std are those in the file", model.preprocessing
    channels = len(used.mean)
    pairs = [(one, one.per_channel(channels)) for one in stored]
    same = [one for one in stored if one.agrees(used.mean, used.std)]
    if same:
        yield Check("preprocessing", name, True, f"As {' and '.join(same[0].names)} in the file.")
        return
    fixes = tuple(
        Fix(
            f"Use mean {_shown(pair[0])} and std {_shown(pair[1])}",
            dataclasses.replace(
                draft, preprocessing=dataclasses.replace(used, mean=pair[0], std=pair[1])
            ),
        )
        for one, pair in pairs
        if pair is not None and not one.bgr
    )
    yield Check(
        "preprocessing", name, None,
        f"{' '.join(_stored(one, channels) for one in stored)} The preprocessing has mean "
        f"{_shown(used.mean)} and std {_shown(used.std)}.",
        "The network was trained with what its file stores, and the architecture does not apply "
        "it: take it over, unless images were normalised before the network as well.",
        fixes,
    )  # fmt: skip


def scale_checks(draft: Draft, used: Preprocessing) -> Iterator[Check]:
    """Whether mean and std are for the pixel values of 0 to 1 that they are applied to."""
    given = {"mean": used.mean, "std": used.std}
    bytes_scale = {key: values for key, values in given.items() if min(values) > _LARGEST}
    if not bytes_scale:
        return
    divided = {key: tuple(float(f"{v / 255:.6g}") for v in vs) for key, vs in bytes_scale.items()}
    shown = " and ".join(f"{key} {_shown(values)}" for key, values in divided.items())
    changed = dataclasses.replace(
        used, mean=divided.get("mean", used.mean), std=divided.get("std", used.std)
    )
    yield Check(
        "preprocessing", "Mean and std are for pixel values of 0 to 1", None,
        " ".join(f"{k.capitalize()} {_shown(v)} {_LOOKS}." for k, v in bytes_scale.items()),
        "Divide them by 255: pixel values are 0 to 1 here before mean and std are applied.",
        (Fix(f"Use {shown}", dataclasses.replace(draft, preprocessing=changed)),),
    )  # fmt: skip


def _stored(one: StoredNormalisation, channels: int) -> str:
    mean, std = one.names
    said = f"The file stores mean {_shown(one.mean)} and std {_shown(one.std)} ({mean} and {std}"
    said += ", there for pixel values of 0 to 255)." if one.scale == 255 else ")."
    if one.per_channel(channels) is None:
        said += f" These are {len(one.mean)} channels, the preprocessing has {channels}."
    if one.bgr:
        said += " Their order is blue, green, red: such a network needs images in that order."
    return said


def _shown(values: tuple[float, ...]) -> str:
    return ", ".join(f"{v:.4g}" for v in values)


def choices(draft: Draft, error: OODLensError) -> tuple[Fix, ...]:
    """The weights of a checkpoint to choose from, where it holds several that fit."""
    names = error.parts if isinstance(error, AmbiguousPartsError) else ()
    return tuple(_use(draft, name) for name in names)


def _use(draft: Draft, part: str) -> Fix:
    return Fix(f"Use {part}", dataclasses.replace(draft, part=part))
