"""What the warm path knows of a classifier without loading it: head, layers, names, transform."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import ood_core
from ood_core import paths
from ood_core.activations.shards import DamagedShardError, read_array, write_bytes, write_shard
from ood_core.activations.store import hash_of
from ood_core.experiments import Experiment, Preprocessing

if TYPE_CHECKING:
    from ood_core.models import ClassifierHead, LayerInfo, LoadedModel

__all__ = ["Manifest", "read_manifest", "write_manifest"]


@dataclass(frozen=True, eq=False)
class Manifest:
    """A classifier as the warm path sees it.

    Parameters
    ----------
    model : fingerprint of weights and architecture.
    head : the last linear layer, with class names where known.
    layers : every useful layer in order of depth; the last is PENULTIMATE.
    preprocessing : the resolved transform.
    """

    model: str
    head: ClassifierHead
    layers: tuple[LayerInfo, ...]
    preprocessing: Preprocessing


def read_manifest(exp: Experiment, model: str) -> Manifest | None:
    """The stored manifest of this classifier with this transform, or None."""
    from ood_core.models import ClassifierHead, LayerInfo

    path = _path(exp, model)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        arrays = path.with_suffix(".safetensors")
        weight, bias = read_array(arrays, "weight"), read_array(arrays, "bias")
    except (OSError, ValueError, DamagedShardError):
        return None
    names = content["class_names"]
    layers = tuple(LayerInfo(**_tuples(layer)) for layer in content["layers"])
    return Manifest(
        model=model,
        head=ClassifierHead(weight, bias, tuple(names) if names else None),
        layers=layers,
        preprocessing=Preprocessing(**_tuples(content["preprocessing"])),
    )


def write_manifest(exp: Experiment, loaded: LoadedModel) -> Manifest:
    """Store what a loaded model tells, the arrays first: the JSON file makes it count."""
    head, path = loaded.head, _path(exp, loaded.fingerprint)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"weight": head.weight, "bias": np.asarray(head.bias)}
    write_shard(path.with_suffix(".safetensors"), arrays, {"model": loaded.fingerprint})
    content = {
        "class_names": head.class_names,
        "layers": [dataclasses.asdict(layer) for layer in loaded.layers],
        "preprocessing": dataclasses.asdict(loaded.preprocessing),
    }
    write_bytes(path, json.dumps(content).encode())
    return Manifest(loaded.fingerprint, head, tuple(loaded.layers), loaded.preprocessing)


def _path(exp: Experiment, model: str) -> Path:
    """The file stands for the classifier, the transform and names asked for, and the version of
    this package, which may find other layers."""
    transform = exp.preprocessing and dataclasses.asdict(exp.preprocessing)
    key = hash_of(ood_core.__version__, model, transform, exp.classifier.class_names)
    return paths.store_dir() / "models" / f"{key}.json"


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
