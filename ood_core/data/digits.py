"""The embedded data sets: scikit-learn's digits, and OOD sets made from them, near to far.

All are 8 x 8 grey images, so that no set is told apart by its resolution alone. The digits 0-7
are in-distribution, 8 and 9 are held out. OOD sets made from digits use the ID test images,
which the classifier never trained on.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from ood_core.data.image_set import ImageSet
from ood_core.data.numbering import Numbering
from ood_core.errors import DataError, did_you_mean

__all__ = ["DIGITS_SOURCES", "HELD_OUT", "DigitsSet"]

HELD_OUT = (8, 9)
_ID_CLASSES = tuple(c for c in range(10) if c not in HELD_OUT)
_SEED = 20230401
_FIT_SHARE = 2 / 3
_RECIPE = "1894f2c8a600e5818cec4f81b83f8407c46e77794dd5bbadd63dbbcac1e933dc"
"""Which images the recipes below give. Stored activations are found by it: change it, to any
other text, when an image, its id, its label or the order changes, and for nothing else."""

_Arrays = tuple[np.ndarray, np.ndarray, np.ndarray | None]
"""Images (n, 8, 8) uint8, numbers (n,) for ids, labels (n,) int64 or None."""


class DigitsSet(ImageSet):
    """One of `DIGITS_SOURCES`; arrays are made at first use.

    Raises
    ------
    DataError
        When there is no such source.
    """

    def __init__(self, source: str, name: str | None = None) -> None:
        if source not in _RECIPES:
            raise DataError(f"unknown built-in set {source!r}. {did_you_mean(source, _RECIPES)}")
        self.source = source
        self.name = name or source

    @property
    def ids(self) -> tuple[str, ...]:
        """`source/number`, the number being the digit's in scikit-learn's set."""
        return tuple(f"{self.source}/{i:04d}" for i in _arrays(self.source)[1])

    @property
    def labels(self) -> np.ndarray | None:
        """The digit, for the fit and test sets only."""
        return _arrays(self.source)[2]

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The eight ID digits, for the fit and test sets only."""
        labelled = self.source in ("digits:fit", "digits:test")
        return tuple(str(c) for c in _ID_CLASSES) if labelled else None

    @property
    def numbering(self) -> Numbering | None:
        """Labels are the digits."""
        names = self.class_names
        return Numbering("numbers", names, len(names)) if names else None

    @property
    def identity(self) -> str:
        """Hash of this recipe and of the versions of the packages that bring the images."""
        parts = (self.source, _RECIPE, version("scikit-learn"), version("pillow"))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def load(self, index: int) -> Image.Image:
        """Grey image of 8 x 8 pixels."""
        return Image.fromarray(_arrays(self.source)[0][index])

    def __len__(self) -> int:
        return len(_arrays(self.source)[0])


def _fit() -> _Arrays:
    return _digits(_split()[0])


def _test() -> _Arrays:
    return _digits(_split()[1])


def _held_out() -> _Arrays:
    target = _all_digits()[1]
    images, numbers, _ = _digits(np.flatnonzero(np.isin(target, HELD_OUT)))
    return images, numbers, None


def _rotated() -> _Arrays:
    """Quarter turn; zeros are left out, because a turned 0 is still a 0."""
    images, numbers, labels = _test()
    assert labels is not None
    keep = labels != 0
    return np.rot90(images[keep], axes=(1, 2)).copy(), numbers[keep], None


def _inverted() -> _Arrays:
    images, numbers, _ = _test()
    return 255 - images, numbers, None


def _shuffled() -> _Arrays:
    """Each image's pixels in an order of its own: same brightness, no shape."""
    images, numbers, _ = _test()
    rng = np.random.default_rng(_SEED)
    return rng.permuted(images.reshape(len(images), 64), axis=1).reshape(-1, 8, 8), numbers, None


def _photos() -> _Arrays:
    """Patches of 32 x 32 pixels of two photographs, averaged over 4 x 4 to 8 x 8."""
    patches = []
    for photo in _sample_photographs():
        grey = np.asarray(Image.fromarray(photo).convert("L"), dtype=np.float64)
        rows, columns = grey.shape[0] // 32, grey.shape[1] // 32
        cells = grey[: rows * 32, : columns * 32].reshape(rows, 8, 4, columns, 8, 4)
        patches.append(cells.mean((2, 5)).transpose(0, 2, 1, 3).reshape(-1, 8, 8))
    images = np.rint(np.concatenate(patches)).astype(np.uint8)
    return images, np.arange(len(images)), None


def _noise() -> _Arrays:
    """Independent uniform grey values."""
    n = len(_split()[1])
    images = np.random.default_rng(_SEED).integers(0, 256, (n, 8, 8), dtype=np.uint8)
    return images, np.arange(n), None


_RECIPES: dict[str, Callable[[], _Arrays]] = {
    "digits:fit": _fit,
    "digits:test": _test,
    "digits:held-out": _held_out,
    "digits:rotated": _rotated,
    "digits:inverted": _inverted,
    "digits:shuffled": _shuffled,
    "digits:photos": _photos,
    "digits:noise": _noise,
}
DIGITS_SOURCES = tuple(_RECIPES)
"""Names that `builtin = "…"` accepts in an experiment file."""


@cache
def _arrays(source: str) -> _Arrays:
    images, numbers, labels = _RECIPES[source]()
    for array in (images, labels):
        if array is not None:
            array.setflags(write=False)
    return images, numbers, labels


def _packaged(*parts: str) -> Path:
    """File that scikit-learn brings.

    The package itself is not imported: that takes a second, and fails while another thread
    imports torch, because SciPy looks into whatever torch there is.
    """
    found = find_spec("sklearn")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0], "datasets", *parts)


def _sample_photographs() -> list[np.ndarray]:
    """Scikit-learn's two photographs, (h, w, 3) uint8, as `load_sample_images` gives them."""
    return [
        np.asarray(Image.open(_packaged("images", name))) for name in ("china.jpg", "flower.jpg")
    ]


@cache
def _all_digits() -> tuple[np.ndarray, np.ndarray]:
    """All 1,797 images (uint8, 0-255) and their digits, as scikit-learn's `load_digits`."""
    with gzip.open(_packaged("data", "digits.csv.gz"), "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    images = np.rint(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return images, table[:, -1].astype(np.int64)


def _digits(index: np.ndarray) -> _Arrays:
    images, target = _all_digits()
    return images[index], index, target[index]


@cache
def _split() -> tuple[np.ndarray, np.ndarray]:
    """Image numbers of the fit and test sets: drawn per class, each in ascending order."""
    target = _all_digits()[1]
    rng = np.random.default_rng(_SEED)
    fit, test = [], []
    for c in _ID_CLASSES:
        members = rng.permutation(np.flatnonzero(target == c))
        cut = round(len(members) * _FIT_SHARE)
        fit.append(members[:cut])
        test.append(members[cut:])
    return np.sort(np.concatenate(fit)), np.sort(np.concatenate(test))
