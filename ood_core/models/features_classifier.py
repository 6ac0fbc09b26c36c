"""What stands for a network where features come from elsewhere: layers, perhaps a head."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.data import open_dataset
from ood_core.data.features import FeatureSet, is_features
from ood_core.errors import ModelError
from ood_core.models.head import ClassifierHead
from ood_core.models.head_files import head_files, read_head
from ood_core.models.layer_info import PENULTIMATE, LayerInfo
from ood_core.models.published_weights import WeightsMissingError
from ood_core.runtime.paths import find_data

if TYPE_CHECKING:
    from ood_core.experiments import Experiment

__all__ = ["FeaturesClassifier", "features_classifier", "features_fingerprint"]

_LOOKED_AT = 1024
"""Rows in which negative values are looked for."""


@dataclass(frozen=True, eq=False)
class FeaturesClassifier:
    """The part of a `LoadedModel` that features from elsewhere have.

    Attributes
    ----------
    head : the last linear layer; None without one.
    layers : one for each array, in order of depth; the last is PENULTIMATE.
    fingerprint : identity of the head and of the arrays' widths.
    preprocessing : None: there are no images.
    """

    head: ClassifierHead | None
    layers: tuple[LayerInfo, ...]
    fingerprint: str
    preprocessing: None = None


def features_classifier(exp: Experiment) -> FeaturesClassifier:
    """Head and layers of an experiment of features, from its head file and its fit set.

    Raises
    ------
    DataError, ModelError
        When the fit set or the head cannot be read, or they do not fit each other.
    """
    fit = _fit(exp)
    layers = []
    for layer, array in (*((n, n) for n in fit.layers), (PENULTIMATE, "features")):
        start = fit.rows(array, 0, min(_LOOKED_AT, len(fit)))
        layers.append(LayerInfo(layer, (start.shape[1],), "vector", bool((start < 0).any())))
    head = None
    if exp.classifier.head is not None:
        head = read_head(_head_file(exp), layers[-1].channels)
        named = exp.classifier.class_names
        if named is not None and len(named) != head.n_classes:
            raise ModelError(
                f"experiment {exp.name!r} names {len(named)} classes but its head has "
                f"{head.n_classes}. Give one name a class in class_names, in the head's order."
            )
    return FeaturesClassifier(head, tuple(layers), features_fingerprint(exp))


def features_fingerprint(exp: Experiment) -> str:
    """Hash of the head's bytes and of the arrays that the fit set has, with their widths.

    Raises
    ------
    WeightsMissingError
        When the head's file is not there.
    """
    fit = _fit(exp)
    widths = [(name, c.shape[1]) for name, c in fit.layers.items()]
    shape = fit.arrays.columns["features"].shape[1]
    parts = ["features", str(shape), repr(widths), f"logits {fit.has_logits}"]
    if exp.classifier.head is not None:
        files = head_files(_head_file(exp))
        parts += [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _head_file(exp: Experiment) -> Path:
    given = exp.classifier.head
    found = find_data(given) if given is not None else None
    if found is None:
        raise WeightsMissingError(f"the head {str(given)!r} of {exp.name!r} is not on disk.")
    return found


def _fit(exp: Experiment) -> FeatureSet:
    fit = open_dataset(exp.sets[exp.fit_set])
    if not is_features(fit):
        raise ModelError(f"the fit set of {exp.name!r} holds images, not features.")
    return fit
