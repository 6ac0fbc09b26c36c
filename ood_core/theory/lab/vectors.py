"""The lab's images: scikit-learn's digits as vectors of 64 numbers of mean 0 and equal length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ood_core.data.digits import DigitsSet

if TYPE_CHECKING:
    from ood_core.data import ImageSet

__all__ = ["OOD_SETS", "LabImages", "lab_identity", "lab_images", "standardised"]

OOD_SETS = ("held-out", "rotated", "inverted", "shuffled", "photos", "noise")
"""OOD sets of the lab, near to far, as in the embedded experiment."""

_FLAT = 0.05
"""Contrast (in units of white) below which an image counts as nearly flat and stays short."""


@dataclass(frozen=True, eq=False)
class LabImages:
    """Fit set, test set and OOD sets, each (n, 64) float64."""

    fit: np.ndarray
    fit_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    ood: Mapping[str, np.ndarray]


def standardised(pixels: np.ndarray) -> np.ndarray:
    """Images (n, 8, 8) uint8 as vectors of mean 0 and standard deviation 1.

    A network without biases scales its features with its input, so that contrast alone would
    decide the norm; equal contrast leaves only the shape to decide.
    """
    flat = pixels.reshape(len(pixels), -1).astype(np.float64) / 255
    centred = flat - flat.mean(1, keepdims=True)
    spread = np.sqrt(centred.var(1, keepdims=True) + _FLAT**2)
    return np.asarray(centred / spread)


@cache
def lab_images() -> LabImages:
    """The lab's images, made once per process. Digits 0 to 7 are ID, 8 and 9 are held out."""
    sets = _sets()
    vectors = {
        name: standardised(np.stack([np.asarray(s.load(i)) for i in range(len(s))]))
        for name, s in sets.items()
    }
    fit_labels, test_labels = sets["fit"].labels, sets["test"].labels
    assert fit_labels is not None
    assert test_labels is not None
    return LabImages(
        fit=vectors["fit"],
        fit_labels=fit_labels,
        test=vectors["test"],
        test_labels=test_labels,
        ood={name: vectors[name] for name in OOD_SETS},
    )


def lab_identity() -> str:
    """Text that changes whenever the images do. Reads none of them."""
    return " ".join(source.identity for source in _sets().values())


def _sets() -> dict[str, ImageSet]:
    return {name: DigitsSet(f"digits:{name}") for name in ("fit", "test", *OOD_SETS)}
