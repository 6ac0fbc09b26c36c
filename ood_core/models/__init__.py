"""Classifiers: architectures, checkpoints, layers and the head. Importing this needs no torch."""

from ood_core.models.digits_training import TRAINED_HERE, ensure_trained
from ood_core.models.fingerprint import model_fingerprint
from ood_core.models.head import ClassifierHead
from ood_core.models.layer_info import PENULTIMATE, LayerInfo, find_layer, to_positions
from ood_core.models.loaded import LoadedModel, load_model
from ood_core.models.own_networks import (
    CodeNotTrustedError,
    CodeRequest,
    code_request,
    only_command_line_consents,
    trust_code,
)
from ood_core.models.preprocessing import resolve_preprocessing
from ood_core.models.published_weights import WeightsMissingError
from ood_core.models.tail import tail
from ood_core.models.weights_download import download_weights

__all__ = [
    "PENULTIMATE",
    "TRAINED_HERE",
    "ClassifierHead",
    "CodeNotTrustedError",
    "CodeRequest",
    "LayerInfo",
    "LoadedModel",
    "WeightsMissingError",
    "code_request",
    "download_weights",
    "ensure_trained",
    "find_layer",
    "load_model",
    "model_fingerprint",
    "only_command_line_consents",
    "resolve_preprocessing",
    "tail",
    "to_positions",
    "trust_code",
]
