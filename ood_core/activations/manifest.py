"""What the warm path knows of a classifier without loading it: head, layers, names, transform."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ood_core.activations.shards import DamagedShardError, read_array, write_bytes, write_shard
from ood_core.activations.store import hash_of
from ood_core.data import open_dataset
from ood_core.experiments import Experiment, Preprocessing
from ood_core.models import ClassifierHead, LayerInfo
from ood_core.models.features_classifier import FeaturesClassifier
from ood_core.models.loaded import class_names
from ood_core.runtime import paths

if TYPE_CHECKING:
    from ood_core.data import ImageSet
    from ood_core.models import LoadedModel

__all__ = ["Manifest", "read_manifest", "write_manifest"]

FOUND_BY = "0.1.0"
"""Changed when the same network would be told otherwise: other layers, another head. Older
manifests are then never read."""


@dataclass(frozen=True, eq=False)
class Manifest:
    """A classifier as the warm path sees it.

    Parameters
    ----------
    model : fingerprint of weights and architecture.
    head : the last linear layer, with class names where known; None without one.
    layers : every useful layer in order of depth; the last is PENULTIMATE.
    preprocessing : the resolved transform; None for features from elsewhere.
    """

    model: str
    head: ClassifierHead | None
    layers: tuple[LayerInfo, ...]
    preprocessing: Preprocessing | None


def read_manifest(exp: Experiment, model: str, fit: ImageSet | None = None) -> Manifest | None:
    """The stored manifest of this classifier with this transform, or None.

    `fit` is the opened fit set where it is at hand: names of classes may come from its folders.
    """
    path = _path(exp, model, fit)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        head = _read_head(path, content) if content.get("head", True) else None
    except (OSError, ValueError, DamagedShardError):
        return None
    layers = tuple(LayerInfo(**_tuples(layer)) for layer in content["layers"])
    transform = content["preprocessing"]
    return Manifest(
        model=model,
        head=head,
        layers=layers,
        preprocessing=Preprocessing(**_tuples(transform)) if transform else None,
    )


def write_manifest(
    exp: Experiment, loaded: LoadedModel | FeaturesClassifier, fit: ImageSet | None = None
) -> Manifest:
    """Store what a loaded model tells, the arrays first: the JSON file makes it count."""
    path = _path(exp, loaded.fingerprint, fit)
    path.parent.mkdir(parents=True, exist_ok=True)
    head = loaded.head
    if head is not None:
        # A model that was loaded a while ago may have been given other names.
        head = dataclasses.replace(head, class_names=class_names(exp, head.n_classes))
        arrays = {"weight": head.weight, "bias": np.asarray(head.bias)}
        write_shard(path.with_suffix(".safetensors"), arrays, {"model": loaded.fingerprint})
    content = {
        "head": head is not None,
        "class_names": None if head is None else head.class_names,
        "temperature": None if head is None else head.temperature,
        "layers": [dataclasses.asdict(layer) for layer in loaded.layers],
        "preprocessing": loaded.preprocessing and dataclasses.asdict(loaded.preprocessing),
    }
    write_bytes(path, json.dumps(content).encode())
    return Manifest(loaded.fingerprint, head, tuple(loaded.layers), loaded.preprocessing)


def _read_head(path: Path, content: dict[str, Any]) -> ClassifierHead:
    arrays = path.with_suffix(".safetensors")
    weight, bias = read_array(arrays, "weight"), read_array(arrays, "bias")
    names = content["class_names"]
    return ClassifierHead(weight, bias, tuple(names) if names else None, content.get("temperature"))


def _path(exp: Experiment, model: str, fit: ImageSet | None) -> Path:
    """The file stands for the classifier, the transform asked for, the names of the classes or
    the set they come from, and what found its layers."""
    names: object = exp.classifier.class_names
    if names is None and exp.fit_set in exp.sets:
        names = (fit or open_dataset(exp.sets[exp.fit_set])).identity
    transform = exp.preprocessing and dataclasses.asdict(exp.preprocessing)
    key = hash_of(FOUND_BY, model, transform, names)
    return paths.store_dir() / "models" / f"{key}.json"


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
