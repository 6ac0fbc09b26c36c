"""The same image in two sets, found without decoding every image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ood_core.data import open_dataset
from ood_core.data.features import is_features

if TYPE_CHECKING:
    from ood_core.activations.activation_set import ActivationSet
    from ood_core.activations.record import LayerRecord

__all__ = ["SharedImage", "SharedImages", "shared_images"]

_NEARLY_EQUAL = 1e-5
"""Batches of other sizes give other roundings: statistics of equal images differ by less."""


@dataclass(frozen=True)
class SharedImage:
    """The same pixels in two sets."""

    first_set: str
    first_id: str
    second_set: str
    second_id: str


@dataclass(frozen=True)
class SharedImages:
    """What was found in common.

    Attributes
    ----------
    pairs : the same pixels in two sets, one pair for each image of the second.
    compared : images of the second sets that were decoded and compared.
    alike : images of the second sets that may be in the first, by their statistics.
    """

    pairs: tuple[SharedImage, ...]
    compared: int
    alike: int

    @property
    def whole(self) -> bool:
        """Whether every image that may be shared was compared."""
        return self.compared == self.alike


def shared_images(
    acts: ActivationSet, firsts: Iterable[str], seconds: Iterable[str], most: int | None = None
) -> SharedImages:
    """Images whose pixels are in one of `firsts` and in one of `seconds`.

    Equal images have equal statistics, so only rows that agree in L0, L1 and L2 of the
    penultimate layer are decoded and compared by a hash of their pixels; of features from
    elsewhere, whose rows stand for images, by a hash of the row.

    Parameters
    ----------
    most : images of a second set to compare with a first one at most, evenly spaced among those
        that may be shared; all for None.
    """
    seconds = list(seconds)
    found = [_shared(acts, a, b, most) for a in firsts for b in seconds]
    return SharedImages(
        tuple(pair for part in found for pair in part.pairs),
        sum(part.compared for part in found),
        sum(part.alike for part in found),
    )


def _shared(acts: ActivationSet, first: str, second: str, most: int | None) -> SharedImages:
    one, two = acts[first], acts[second]
    rows = _candidates(one.layer(), two.layer())
    alike = np.unique(rows[:, 1])
    compared = alike
    if most is not None and len(alike) > most:
        compared = alike[np.linspace(0, len(alike) - 1, most).astype(np.int64)]
        rows = rows[np.isin(rows[:, 1], compared)]
    if not len(rows):
        return SharedImages((), 0, 0)
    hashes_one = _pixel_hashes(acts, first, np.unique(rows[:, 0]))
    hashes_two = _pixel_hashes(acts, second, compared)
    found: dict[int, SharedImage] = {}
    for i, j in rows.tolist():
        if hashes_one[i] == hashes_two[j]:
            found.setdefault(j, SharedImage(first, one.ids[i], second, two.ids[j]))
    return SharedImages(tuple(found.values()), len(compared), len(alike))


def _candidates(one: LayerRecord, two: LayerRecord) -> np.ndarray:
    """Pairs of rows (i, j), shape (m, 2), whose statistics are nearly equal."""
    order = np.argsort(one.l1, kind="stable")
    norms, l1 = one.l1[order], two.l1
    low = np.searchsorted(norms, l1 * (1 - _NEARLY_EQUAL), "left")
    high = np.searchsorted(norms, l1 * (1 + _NEARLY_EQUAL), "right")
    counts = high - low
    j = np.repeat(np.arange(len(l1)), counts)
    starts = np.repeat(low - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    i = order[starts + np.arange(len(j))]
    close = np.abs(one.l2[i] - two.l2[j]) <= _NEARLY_EQUAL * one.l2[i]
    close &= np.abs(one.l0[i] - two.l0[j]) <= 1 + one.n_units // 100
    return np.stack([i[close], j[close]], axis=1)


def _pixel_hashes(acts: ActivationSet, name: str, rows: np.ndarray) -> dict[int, str]:
    source = open_dataset(acts.experiment.sets[name])
    numbers = acts[name].index
    hashes = {}
    for row in rows.tolist():
        if is_features(source):
            number = int(numbers[row])
            found = source.rows("features", number, number + 1)
            hashes[row] = hashlib.sha256(found.tobytes()).hexdigest()
            continue
        image = source.load(int(numbers[row]))
        digest = hashlib.sha256(f"{image.mode} {image.size}".encode())
        digest.update(image.tobytes())
        hashes[row] = digest.hexdigest()
    return hashes
