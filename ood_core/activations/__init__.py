"""Activations: what a forward pass leaves behind, how it is extracted and where it is kept."""

from ood_core.activations.activation_set import ActivationSet, prepared
from ood_core.activations.duplicates import SharedImage, SharedImages, shared_images
from ood_core.activations.extraction import extract
from ood_core.activations.feature_rows import (
    new_rows,
    open_rows,
    rows_joined,
    rows_of_upload,
)
from ood_core.activations.predictions import Predictions, predict, predicted_classes
from ood_core.activations.record import PENULTIMATE, Activations, LayerRecord, LazyRecord
from ood_core.activations.remarks import notes_text, remarks
from ood_core.activations.store import StoredEntry, prune, store_usage
from ood_core.activations.unstored import activation_map, embed

__all__ = [
    "PENULTIMATE",
    "ActivationSet",
    "Activations",
    "LayerRecord",
    "LazyRecord",
    "Predictions",
    "SharedImage",
    "SharedImages",
    "StoredEntry",
    "activation_map",
    "embed",
    "extract",
    "new_rows",
    "notes_text",
    "open_rows",
    "predict",
    "predicted_classes",
    "prepared",
    "prune",
    "remarks",
    "rows_joined",
    "rows_of_upload",
    "shared_images",
    "store_usage",
]
