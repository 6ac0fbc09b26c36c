"""Classifiers: architectures, checkpoints, layers and the head. Importing this needs no torch."""

from ood_core.models.digits_training import TRAINED_HERE, ensure_trained
from ood_core.models.fingerprint import model_fingerprint
from ood_core.models.head import ClassifierHead
from ood_core.models.layer_info import PENULTIMATE, LayerInfo, find_layer, to_positions
from ood_core.models.loaded import LoadedModel, load_model
from ood_core.models.preprocessing import resolve_preprocessing
from ood_core.models.published_weights import WeightsMissingError
from ood_core.models.tail import tail
from ood_core.models.weights_download import download_weights

__all__ = [
    "PENULTIMATE",
    "TRAINED_HERE",
    "ClassifierHead",
    "LayerInfo",
    "LoadedModel",
    "WeightsMissingError",
    "download_weights",
    "ensure_trained",
    "find_layer",
    "load_model",
    "model_fingerprint",
    "resolve_preprocessing",
    "tail",
    "to_positions",
]
