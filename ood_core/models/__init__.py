"""Classifiers: architectures, checkpoints, layers and the head. Importing this needs no torch."""

from ood_core.models.fingerprint import WeightsMissingError, model_fingerprint
from ood_core.models.head import ClassifierHead
from ood_core.models.hooks import capture, tail
from ood_core.models.layers import PENULTIMATE, LayerInfo, find_layer, to_positions
from ood_core.models.loaded import LoadedModel, load_model
from ood_core.models.preprocessing import resolve_preprocessing
from ood_core.models.training import TRAINED_HERE, ensure_trained

__all__ = [
    "PENULTIMATE",
    "TRAINED_HERE",
    "ClassifierHead",
    "LayerInfo",
    "LoadedModel",
    "WeightsMissingError",
    "architectures",
    "capture",
    "ensure_trained",
    "find_layer",
    "load_model",
    "model_fingerprint",
    "resolve_preprocessing",
    "tail",
    "to_positions",
]


def architectures() -> dict:
    """Built-in architectures: name -> builder taking the number of classes. Imports torch."""
    from ood_core.models.architectures import architectures as found

    return found()
