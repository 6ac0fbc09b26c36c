"""Files of arrays that hold features instead of images: one module here reads one format."""

from ood_core.data.features.array_file import ArrayFile, Column
from ood_core.data.features.feature_set import FeatureSet, is_features
from ood_core.data.features.formats import FORMATS, open_arrays
from ood_core.data.features.values import numbers

__all__ = [
    "FORMATS",
    "ArrayFile",
    "Column",
    "FeatureSet",
    "is_features",
    "numbers",
    "open_arrays",
]
