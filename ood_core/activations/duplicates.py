"""The same image in two sets, found without decoding every image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ood_core.data import open_dataset

if TYPE_CHECKING:
    from ood_core.activations.activation_set import ActivationSet
    from ood_core.activations.record import LayerRecord

__all__ = ["SharedImage", "shared_images"]

_NEARLY_EQUAL = 1e-5
"""Batches of other sizes give other roundings: statistics of equal images differ by less."""


@dataclass(frozen=True)
class SharedImage:
    """The same pixels in two sets."""

    first_set: str
    first_id: str
    second_set: str
    second_id: str


def shared_images(
    acts: ActivationSet, firsts: Iterable[str], seconds: Iterable[str]
) -> tuple[SharedImage, ...]:
    """Images whose pixels are in one of `firsts` and in one of `seconds`.

    Equal images have equal statistics, so only rows that agree in L0, L1 and L2 of the
    penultimate layer are decoded and compared by a hash of their pixels.
    """
    seconds = list(seconds)
    return tuple(
        pair for first in firsts for second in seconds for pair in _shared(acts, first, second)
    )


def _shared(acts: ActivationSet, first: str, second: str) -> list[SharedImage]:
    one, two = acts[first], acts[second]
    rows = _candidates(one.layer(), two.layer())
    if not len(rows):
        return []
    hashes_one = _pixel_hashes(acts, first, np.unique(rows[:, 0]))
    hashes_two = _pixel_hashes(acts, second, np.unique(rows[:, 1]))
    found: dict[int, SharedImage] = {}
    for i, j in rows.tolist():
        if hashes_one[i] == hashes_two[j]:
            found.setdefault(j, SharedImage(first, one.ids[i], second, two.ids[j]))
    return list(found.values())


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
        image = source.load(int(numbers[row]))
        digest = hashlib.sha256(f"{image.mode} {image.size}".encode())
        digest.update(image.tobytes())
        hashes[row] = digest.hexdigest()
    return hashes
