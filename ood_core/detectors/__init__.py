"""Detectors: one file each, found by walking this package and the plug-ins' entry points."""

from ood_core.detectors.base import Detector
from ood_core.detectors.declarations import FAMILIES
from ood_core.detectors.discovery import (
    all_detectors,
    broken_plugins,
    by_canonical_name,
    canonical_name,
    detector_class,
    exportable,
    make_detector,
)

__all__ = [
    "FAMILIES",
    "Detector",
    "all_detectors",
    "broken_plugins",
    "by_canonical_name",
    "canonical_name",
    "detector_class",
    "exportable",
    "make_detector",
]
