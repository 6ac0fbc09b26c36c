"""Order of rows and columns that puts alike classes and alike neurons side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ood_core.errors import ConfigError, DataError, did_you_mean

__all__ = ["ORDERS", "Order", "seriate"]

ORDERS = ("class", "clustered", "index")
"""How neurons are ordered: by the class they speak for, by likeness, or by their number."""

_OPTIMAL = 400
"""Up to this many leaves the optimal leaf order is found (cubic time); above, the tree's own."""


@dataclass(frozen=True, eq=False)
class Order:
    """Display order: `classes` (c,) and `neurons` (d,) are row and column numbers, in order."""

    classes: np.ndarray
    neurons: np.ndarray


def seriate(contrib: np.ndarray, how: str = "class") -> Order:
    """Order classes and neurons for display.

    Classes are ordered by hierarchical clustering of their rows (average linkage, cosine
    distance). Neurons: "class" puts each neuron under the class it contributes most to, the
    strongest first, which draws a staircase; "clustered" clusters the columns; "index" keeps
    both orders as they are.

    Parameters
    ----------
    contrib : (c, d) contributions.
    how : one of ORDERS.

    Raises
    ------
    ConfigError
        For an unknown order.
    DataError
        When `contrib` is not a matrix or holds NaN.
    """
    if how not in ORDERS:
        raise ConfigError(f"unknown order {how!r}. {did_you_mean(how, ORDERS)}")
    contrib = np.asarray(contrib, np.float64)
    if contrib.ndim != 2 or not contrib.size:
        raise DataError(f"contributions must have shape (classes, neurons), got {contrib.shape}.")
    if not np.isfinite(contrib).all():
        raise DataError("contributions hold NaN or infinite values; they cannot be ordered.")
    c, d = contrib.shape
    if how == "index":
        return Order(np.arange(c), np.arange(d))
    classes = _leaves(contrib)
    neurons = _leaves(contrib.T) if how == "clustered" else _by_class(contrib, classes)
    return Order(classes, neurons)


def _by_class(contrib: np.ndarray, classes: np.ndarray) -> np.ndarray:
    place = np.empty(len(classes), dtype=np.int64)
    place[classes] = np.arange(len(classes))
    return np.lexsort((-contrib.max(0), place[contrib.argmax(0)]))


def _leaves(rows: np.ndarray) -> np.ndarray:
    """Leaf order of a hierarchical clustering of the rows by cosine distance."""
    if len(rows) < 3:
        return np.arange(len(rows))
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering

    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0)
    distance = np.clip(1.0 - unit @ unit.T, 0.0, 2.0)
    condensed = distance[np.triu_indices(len(rows), 1)]
    tree = linkage(condensed, "average")
    if len(rows) <= _OPTIMAL:
        tree = optimal_leaf_ordering(tree, condensed)
    return np.asarray(leaves_list(tree), dtype=np.int64)
