"""Array helpers that several detectors share: float64 by row chunks, log-sum-exp, top units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ood_core.errors import DataError
from ood_core.runtime.threads import share_out

__all__ = [
    "by_rows",
    "class_means",
    "energy_of",
    "keep_count",
    "label_remarks",
    "logsumexp",
    "row_slices",
    "softmax",
    "top_mask",
    "unit_rows",
]

CHUNK = 1024
"""Rows worked on at once: a float64 chunk of 512 features stays in the core's cache."""


def row_slices(n: int, size: int = CHUNK) -> Iterator[slice]:
    """Slices of at most `size` rows that cover n rows in order."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def by_rows(score: Callable[..., np.ndarray], *arrays: np.ndarray, size: int = CHUNK) -> np.ndarray:
    """Apply `score` to float64 chunks of rows and join the results, shape (n,).

    Chunks bound the memory: stored arrays are float32 or smaller, arithmetic is float64. Threads
    share them, so `score` must not change anything.
    """
    out = np.empty(len(arrays[0]))

    def work(parts: Sequence[slice]) -> None:
        for rows in parts:
            out[rows] = score(*(a[rows].astype(np.float64, copy=False) for a in arrays))

    share_out(work, list(row_slices(len(out), size)))
    return out


def logsumexp(z: np.ndarray) -> np.ndarray:
    """`log Σ_c exp(z_c)` per row of (n, c), safe for large logits."""
    top = z.max(axis=1)
    shifted = z - top[:, None]
    np.exp(shifted, out=shifted)
    return np.asarray(np.log(shifted.sum(axis=1)) + top)


def softmax(z: np.ndarray) -> np.ndarray:
    """Softmax per row of (n, c)."""
    p: np.ndarray = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p


def energy_of(h: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """`logsumexp(h Wᵀ + b)` per row: what every activation-shaping score ends in."""
    z = h @ weight.T
    return logsumexp(z if bias is None else z + bias)


def unit_rows(h: np.ndarray) -> np.ndarray:
    """Rows divided by their Euclidean norm + 1e-10; an all-zero row stays zero."""
    return np.asarray(h / (np.linalg.norm(h, axis=1, keepdims=True) + 1e-10))


def class_means(
    features: np.ndarray, labels: np.ndarray, n_classes: int, *, magnitude: bool = False
) -> np.ndarray:
    """Mean feature of each class in float64, shape (c, d); a row of NaN for a class without rows.

    Rows with a label outside 0..c-1 are left out. `magnitude` takes the mean of absolute values.
    """
    means = np.full((n_classes, features.shape[1]), np.nan)
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(n_classes + 1))
    for c in range(n_classes):
        rows = order[bounds[c] : bounds[c + 1]]
        if len(rows):
            total = np.zeros(features.shape[1])
            for part in row_slices(len(rows)):
                chunk = features[rows[part]]
                total += (np.abs(chunk) if magnitude else chunk).sum(axis=0, dtype=np.float64)
            means[c] = total / len(rows)
    return means


def label_remarks(labels: np.ndarray, n_classes: int | None, name: str) -> Iterator[str]:
    """What of a fit set's labels (n,) is missing: of images (-1), and images of classes."""
    unknown = int(np.count_nonzero(labels < 0))
    if unknown:
        yield (
            f"{unknown:,} of {len(labels):,} images of {name!r} have no label: they take no part "
            "where classes count."
        )
    missing = np.setdiff1d(np.arange(n_classes or 0), labels)
    if len(missing):
        shown = ", ".join(map(str, missing[:10])) + (" and more" if len(missing) > 10 else "")
        yield f"{len(missing):,} of {n_classes:,} classes have no image in {name!r}: {shown}."


def keep_count(d: int, p: float) -> int:
    """How many of d units stay when p percent are pruned: `d - round_half_even(d·p/100)`.

    At least one: with none left every image would get the same score.
    """
    return max(1, d - int(np.round(d * p / 100.0)))


def top_mask(h: np.ndarray, k: int) -> np.ndarray:
    """Mask of the k largest entries per row; among equals the leftmost are taken."""
    d = h.shape[1]
    if not 1 <= k <= d:
        raise DataError(f"cannot keep {k} of {d} units.")
    cut = np.partition(h, d - k, axis=1)[:, d - k, None]
    mask = h >= cut
    crowded = np.flatnonzero(mask.sum(axis=1) > k)
    if len(crowded):
        rows, limit = h[crowded], cut[crowded]
        above = rows > limit
        equal = rows == limit
        room = k - above.sum(axis=1, keepdims=True)
        mask[crowded] = above | (equal & (np.cumsum(equal, axis=1) <= room))
    return mask
