"""Sets of neurons: the strongest of a class, those that OOD images excite most, or a list."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ood_core.errors import DataError

__all__ = ["drop_set", "excited_by_ood", "parse_neurons", "top_neurons"]


def top_neurons(contrib: np.ndarray, klass: int, k: int) -> np.ndarray:
    """Numbers of the k neurons that contribute most to a class, strongest first.

    Raises
    ------
    DataError
        When the class does not exist or k is not between 0 and d.
    """
    c, d = contrib.shape
    if not 0 <= klass < c:
        raise DataError(f"class {klass} does not exist: there are classes 0 to {c - 1}.")
    _check_count(k, d)
    return np.argsort(-contrib[klass], kind="stable")[:k]


def excited_by_ood(means: pd.DataFrame, id_set: str, ood_sets: Sequence[str], k: int) -> np.ndarray:
    """Numbers of the k neurons whose mean activation on OOD exceeds that on ID most.

    Parameters
    ----------
    means : from `mean_activations`, one column per set.
    id_set, ood_sets : columns; the OOD sets count equally.
    k : how many.

    Raises
    ------
    DataError
        When k is not between 0 and d.
    """
    _check_count(k, len(means))
    excess = means[list(ood_sets)].mean(axis=1) - means[id_set]
    return np.argsort(-excess.to_numpy(), kind="stable")[:k]


def parse_neurons(text: str, d: int) -> np.ndarray:
    """Neuron numbers from text: numbers and ranges, as in "3, 17, 40-60". Sorted, no repeats.

    >>> parse_neurons("3, 17 40-42", 100).tolist()
    [3, 17, 40, 41, 42]

    Raises
    ------
    DataError
        For anything else, and for numbers outside 0 to d − 1.
    """
    found: set[int] = set()
    for part in re.split(r"[\s,;]+", re.sub(r"\s*[-–]\s*", "-", text.strip())):
        if not part:
            continue
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        if match is None:
            raise DataError(f"{part!r} is no neuron: write numbers and ranges, as in 3, 17, 40-60.")
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last or last >= d:
            raise DataError(f"{part!r} is no neuron: there are neurons 0 to {d - 1}, low to high.")
        found.update(range(first, last + 1))
    return np.array(sorted(found), dtype=np.int64)


def drop_set(neurons: Sequence[int] | np.ndarray, d: int, keep: bool = False) -> np.ndarray:
    """Neurons to set to zero: the given ones, or with `keep` all others. Sorted, no repeats.

    Raises
    ------
    DataError
        When a neuron does not exist.
    """
    chosen = np.unique(np.asarray(neurons, dtype=np.int64))
    if len(chosen) and (chosen[0] < 0 or chosen[-1] >= d):
        raise DataError(f"neurons must be numbers from 0 to {d - 1}, got {chosen[0]}-{chosen[-1]}.")
    return np.setdiff1d(np.arange(d), chosen) if keep else chosen


def _check_count(k: int, d: int) -> None:
    if not 0 <= k <= d:
        raise DataError(f"number of neurons must be between 0 and {d}, got {k}.")
