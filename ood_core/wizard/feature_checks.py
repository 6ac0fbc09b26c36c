"""Checks of features that are there already, and of the head given with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ood_core.errors import OODLensError
from ood_core.models.features_classifier import features_classifier
from ood_core.wizard.check import Check
from ood_core.wizard.draft import Draft, new_experiment

if TYPE_CHECKING:
    from ood_core.data.features import FeatureSet

__all__ = ["arrays_text", "features_checks"]


def features_checks(draft: Draft) -> Iterator[Check]:
    """What stands in place of the classifier: the fit set's arrays, and the head where given."""
    name = "The head fits the features" if draft.head else "The features are known"
    if not draft.fit.source:
        yield Check("classifier", name, False, "No features are chosen yet.", given=False)
        return
    alone = dataclasses.replace(draft, name="draft", test=draft.fit, ood=(), classes=())
    try:
        found = features_classifier(new_experiment(alone))
    except (OODLensError, OSError) as error:
        yield Check("classifier", name, False, str(error))
        return
    layers = f"{found.layers[-1].channels:,} features, {len(found.layers)} layers"
    layers = layers.removesuffix("s") if len(found.layers) == 1 else layers
    head = "no head" if found.head is None else f"{found.head.n_classes:,} classes in the head"
    yield Check("classifier", name, True, f"{layers}, {head}.")


def arrays_text(found: FeatureSet) -> str:
    """`1,200 rows in an .npz file: features (1200, 64) float32, labels (1200,) int64`."""
    rows = "1 row" if len(found) == 1 else f"{len(found):,} rows"
    return f"{rows}, {found.arrays.format}: {found.arrays.listed()}"
