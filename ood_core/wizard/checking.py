"""Checks of a draft, each on its own line with its remedy and, where there is one, its fix."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.activations import notes_text
from ood_core.data import dataset_status, open_dataset
from ood_core.data.features import is_features
from ood_core.errors import ModelError, OODLensError
from ood_core.experiments import Preprocessing
from ood_core.experiments.listing import left_out_text
from ood_core.experiments.own_code import is_own_code
from ood_core.models import CodeNotTrustedError, WeightsMissingError
from ood_core.models.nearest import timm_installed
from ood_core.scoring.gates import run_gates
from ood_core.wizard.check import Check, Fix
from ood_core.wizard.checkpoint_fixes import (
    checkpoint_fixes,
    fitting_in_order,
    order_checks,
    renamed_text,
)
from ood_core.wizard.draft import Draft
from ood_core.wizard.facts import checkpoint_facts
from ood_core.wizard.feature_checks import arrays_text, features_checks
from ood_core.wizard.loaded_checks import (
    choices,
    normalisation_checks,
    scale_checks,
    weights_checks,
)
from ood_core.wizard.partial_drafts import load_classifier, only_classifier, only_set
from ood_core.wizard.requirements import missing_weights

if TYPE_CHECKING:
    from ood_core.activations import ActivationSet
    from ood_core.data import DataStatus, ImageSet
    from ood_core.experiments import Experiment
    from ood_core.models import LoadedModel

__all__ = ["QUICK", "check_draft", "gate_checks", "sample"]

_NO_FOLDER = (
    "It is no folder from a model hub on this machine. Name one with a config.json and the weights "
    "in it, as save_pretrained writes it or the hub's cache has it: nothing is downloaded."
)
QUICK = 100
"""Images of each set that the quick check runs through the network."""


def check_draft(draft: Draft) -> tuple[Check, ...]:
    """Check classifier, preprocessing and every set, each on its own: all problems at once.

    Runs no image through the network; `gate_checks` holds what that shows.
    """
    return (
        *_classifier(draft),
        *(line for name in draft.sets() for line in _image_set(draft, name)),
    )


def _classifier(draft: Draft) -> Iterator[Check]:
    if draft.kind == "features":
        yield from features_checks(draft)
        return
    if not draft.architecture and not draft.checkpoint:
        yield Check("classifier", "The classifier loads", False, "No classifier is chosen yet.",
                    given=False)  # fmt: skip
        return
    if not draft.architecture:
        yield _unknown(draft)
        return
    try:
        model = load_classifier(draft)
    except OODLensError as error:
        yield _refused(draft, error)
        return
    forms = _other_forms(draft)
    yield Check(
        "classifier", "The classifier loads", True,
        f"{draft.architecture}: {_network_text(model)}.",
        "".join(
            f"{fix.draft.architecture} has the same shapes and computes something else: the right "
            "one classifies more of the test images right."
            for fix in forms
        ),
        forms,
    )  # fmt: skip
    yield from weights_checks(draft, model)
    yield from order_checks(draft, model.head.n_classes if model.head else 0)
    yield Check("preprocessing", "Preprocessing is known", True, described(model.preprocessing))
    yield from scale_checks(draft, model.preprocessing)
    yield from normalisation_checks(draft, model)


def _network_text(model: LoadedModel) -> str:
    """`10 classes, 342 penultimate features, 5 layers`, and what is unusual about the head."""
    head, layers = model.head, f"{len(model.layers)} layers"
    features = f"{model.layer().channels:,} penultimate features"
    if head is None:
        return f"no head, {features}, {layers}"
    biased = (head.bias is not None and head.bias.any()) or head.temperature is not None
    bias = "" if biased else ", no bias in the head"
    kind = "" if head.temperature is None else f" by text, temperature {head.temperature:.4g}"
    return f"{head.n_classes:,} classes{kind}, {features}, {layers}{bias}"


def _other_forms(draft: Draft) -> tuple[Fix, ...]:
    """The form of the network that the same weights fit too, where there are two."""
    if not (draft.checkpoint and draft.architecture.startswith("timm:")):
        return ()
    try:
        fitting = checkpoint_facts(draft.checkpoint).fitting
    except OODLensError:
        return ()
    return tuple(
        Fix(f"Use {name} instead", replace(draft, architecture=name, preprocessing=None))
        for name in fitting
        if draft.architecture in fitting and name != draft.architecture
    )


def _unknown(draft: Draft) -> Check:
    """A checkpoint without an architecture: what it cannot be read as, or is nearest to."""
    name = "The classifier loads"
    try:
        facts = checkpoint_facts(draft.checkpoint, part=draft.part)
    except OODLensError as error:
        nothing = draft.kind == "hub" and not os.path.isfile(draft.checkpoint)
        return Check("classifier", name, False, _NO_FOLDER if nothing else str(error))
    shown = [f"{name} ({share:.0%} of its names fit)" for name, share in facts.architectures]
    near = f"nearest: {', '.join(shown)}." if shown else "none comes near."
    more = "" if timm_installed() else (
        " timm is not installed: with it, over a thousand more are compared (pip install timm)."
    )  # fmt: skip
    return Check(
        "classifier", name, False,
        f"{Path(draft.checkpoint).name} fits no known architecture completely; {near}"
        f"{renamed_text(facts.renamed)}",
        f"Choose its architecture, or name the code of a network of your own.{more}",
        tuple(checkpoint_fixes(draft)),
    )  # fmt: skip


def _refused(draft: Draft, error: OODLensError) -> Check:
    part, name = "classifier", "The classifier loads"
    if isinstance(error, CodeNotTrustedError) or is_own_code(draft.architecture):
        return Check(part, name, False, str(error))
    if isinstance(error, ModelError) and "preprocessing" in str(error) and not draft.preprocessing:
        part, name = "preprocessing", "Preprocessing is known"
    if isinstance(error, WeightsMissingError) and draft.weights:
        found = missing_weights(only_classifier(draft))
        if found is not None and found.download:
            return Check(part, name, None, found.message, _later(found.megabytes), fetch="weights")
    fixes = choices(draft, error) or tuple(checkpoint_fixes(draft))
    also = renamed_text(fitting_in_order(draft))
    return Check(part, name, False, f"{error}{also}", fixes=fixes)


def _later(megabytes: int) -> str:
    """What is to be done about something that can be downloaded."""
    size = f", about {megabytes:,} MB" if megabytes else ""
    return f"It can be downloaded once the experiment is saved{size}."


def _image_set(draft: Draft, name: str) -> Iterator[Check]:
    chosen = draft.sets()[name]
    rows = "features" if draft.kind == "features" else "images"
    what = f"{rows.capitalize()} of {name} can be used"
    if name in ("fit", "test"):
        what = f"{name.capitalize()} {rows} can be used"
    if not chosen.source:
        yield Check(name, what, False, f"No {name} {rows} are chosen yet.", given=False)
        return
    try:
        images = _opened(draft, name)
        text = f"{contents(images)} {left_out_text(images.left_out)}".rstrip()
        yield Check(name, what, True, text)
    except (OODLensError, OSError) as error:
        status = _download(draft, name)
        if status is None:
            yield Check(name, what, False, str(error))
            return
        text = f"{chosen.source.removeprefix('torchvision:')} is not on this machine."
        yield Check(name, what, None, text, _later(status.megabytes), fetch="data")


def _download(draft: Draft, name: str) -> DataStatus | None:
    """Status of a set that is not here and can be downloaded; None of any other."""
    try:
        status = dataset_status(only_set(draft, name).sets[name])
    except OODLensError:
        return None
    return status if status.fetch == "download" else None


def _opened(draft: Draft, name: str) -> ImageSet:
    """One set of the draft, opened, whatever the others are like."""
    return open_dataset(only_set(draft, name).sets[name])


def contents(images: ImageSet) -> str:
    """`2,000 images, 10 classes: airplane, automobile, …`."""
    if is_features(images):
        text = arrays_text(images)
    else:
        text = "1 image" if len(images) == 1 else f"{len(images):,} images"
    if images.labels is None:
        return f"{text}, no labels."
    seen = sorted({int(label) for label in images.labels if label >= 0})
    names = images.class_names or ()
    shown = [names[c] if c < len(names) else str(c) for c in seen[:4]]
    more = ", …" if len(seen) > 4 else "."
    how = images.numbering.how if images.numbering else ""
    how = f" {how[0].upper()}{how[1:]}." if how else ""
    return f"{text}, {len(seen)} classes: {', '.join(shown)}{more}{how}"


def described(p: Preprocessing) -> str:
    """`Shorter side 256, centre 224 x 224, mean …, std …, bilinear, RGB.`"""
    parts = [f"shorter side {p.resize}"] if p.resize else []
    if isinstance(p.resize, tuple):
        parts = [f"resized to {p.resize[0]} x {p.resize[1]} whatever the sides are"]
    parts += [f"centre {p.center_crop} x {p.center_crop}"] if p.center_crop else []
    numbers = [", ".join(f"{v:.4g}" for v in values) for values in (p.mean, p.std)]
    parts += [f"mean {numbers[0]}", f"std {numbers[1]}", p.interpolation, p.mode]
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def sample(exp: Experiment, images: int = QUICK) -> Experiment:
    """The experiment on at most `images` of each set, and some of every class to fit on.

    OOD sets that have to be downloaded first are left out.

    Sets that are small enough stay whole, so that their activations serve the full run too.

    Raises
    ------
    DataError
        When a set cannot be opened.
    """
    later = [
        name
        for name in exp.ood_sets
        if exp.sets[name].kind == "torchvision" and not dataset_status(exp.sets[name]).ready
    ]
    exp = exp.with_ood_sets([name for name in exp.ood_sets if name not in later])
    sets = {}
    for name, spec in exp.sets.items():
        found = open_dataset(spec)
        options = dict(spec.options)
        if len(found) > images:
            labels = found.labels if name == exp.fit_set else None
            if labels is not None and (labels >= 0).any() and "limit" not in options:
                classes = len({int(label) for label in labels})
                share = math.ceil(images / classes)
                options["per_class"] = min(share, options.get("per_class", share))
            else:
                options["limit"] = images
        sets[name] = dataclasses.replace(spec, options=options)
    return dataclasses.replace(exp, sets=sets)


def gate_checks(acts: ActivationSet) -> tuple[Check, ...]:
    """The sanity gates as lines of the checks, and what was assumed of pixels on the way."""
    gates = tuple(Check("gate", g.name, g.ok, g.text, g.remedy) for g in run_gates(acts))
    assumed = [note for notes in acts.notes.values() for note in notes]
    if not assumed:
        return gates
    remedy = "Save these images with 8 bits per channel and one image a file if that is not meant."
    text = notes_text(assumed)
    return (*gates, Check("gate", "Every image is read as it is stored", None, text, remedy))
