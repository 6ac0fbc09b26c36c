"""Exact nearest rows of a bank: screened in float32, settled in float64.

A bank of 50,000 x 512 against 70,000 queries is 3.6 Tflop: float32 halves the time, but its errors
would show in the scores. So float32 only picks candidates; what decides is computed again in
float64, and a query whose candidates float32 cannot tell apart for certain is done in float64
altogether.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ood_core.detectors._arrays import row_slices
from ood_core.runtime.threads import share_out

__all__ = ["Bank"]

_MARGIN = 8
"""Candidates beyond the k-th: their gap shows whether float32 ordered them for certain."""
_KEYS = 1 << 24
"""float32 keys computed at once, per thread: 64 MB."""
_GATHER = 1 << 22
"""Values of candidate rows settled at once."""
_SMALL = 4096
"""Banks up to this size are searched in float64 throughout."""


class Bank:
    """Rows of the fit set, scaled: row i is `features[i] · factor[i]`.

    The key of a query q is `q · row_i + offset[i]`; the largest keys are the nearest rows.

    Parameters
    ----------
    features : (n, d), kept by reference.
    factor, offset : (n,) float64; no offset for None.
    """

    def __init__(
        self, features: np.ndarray, factor: np.ndarray, offset: np.ndarray | None = None
    ) -> None:
        self.features = features
        self.factor = factor
        self.offset = np.zeros(len(features)) if offset is None else offset
        self._screen: np.ndarray | None = None
        largest = np.sqrt(max(float((self.rows(s) ** 2).sum(1).max()) for s in self._slices()))
        # Rounding of a float32 dot product of d terms grows like √d; eight times that is out of
        # reach, and the half covers the offset's own rounding.
        self.error = 2.0**-24 * (8.0 * np.sqrt(features.shape[1]) * largest + 0.5)

    def __len__(self) -> int:
        return len(self.features)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_screen": None}

    def rows(self, index: np.ndarray | slice) -> np.ndarray:
        """Scaled rows in float64."""
        rows = self.features[index].astype(np.float64, copy=False)
        return np.asarray(rows * self.factor[index][..., None])

    def kth_distance(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Euclidean distance from each query to its k-th nearest row, (m,)."""
        first = max(0, k - 1 - _MARGIN)

        def settle(q: np.ndarray, index: np.ndarray) -> np.ndarray:
            # Differences, not 2 − 2·cos: exact for neighbours that almost coincide.
            gap = q[:, None, :] - self.rows(index[:, first:])
            squared = np.einsum("mkd,mkd->mk", gap, gap)
            kth = np.partition(squared, k - 1 - first, axis=1)[:, k - 1 - first]
            return np.asarray(np.sqrt(kth))

        return self._search(queries, k, settle)

    def top_mean(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Mean of the k largest inner products of each query with the rows, (m,)."""

        def settle(q: np.ndarray, index: np.ndarray) -> np.ndarray:
            keys = np.einsum("md,mkd->mk", q, self.rows(index))
            return np.asarray(np.sort(keys, axis=1)[:, -k:].mean(axis=1))

        return self._search(queries, k, settle)

    def _search(
        self, queries: np.ndarray, k: int, settle: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """`settle(queries, nearest rows)` for all queries, in chunks shared by threads."""
        out = np.empty(len(queries))
        together = max(1, _GATHER // ((k + _MARGIN) * queries.shape[1]))
        parts = list(row_slices(len(queries), int(np.clip(_KEYS // len(self), 8, 1024))))

        if self._is_large(k):
            self._screened(k + _MARGIN)  # built once, before the threads ask for it

        def work(share: Sequence[slice]) -> None:
            buffer = np.empty(0, dtype=np.float32)
            for part in share:
                q, scores = queries[part], out[part]
                index, buffer = self._nearest(q, k, buffer)
                for sub in row_slices(len(q), together):
                    scores[sub] = settle(q[sub], index[sub])

        share_out(work, parts)
        return out

    def _is_large(self, k: int) -> bool:
        return len(self) > max(_SMALL, 4 * (k + _MARGIN))

    def _nearest(
        self, queries: np.ndarray, k: int, buffer: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows with the largest keys, (m, k + margin), largest first; the top k are among them.

        `buffer` is scratch memory; the one to pass next time is returned too.
        """
        count = min(len(self), k + _MARGIN)
        if not self._is_large(k):
            return self._by_float64(queries, count), buffer
        index, keys, buffer = self._by_float32(queries, count, buffer)
        band = 2.0 * self.error * (np.linalg.norm(queries, axis=1) + 1e-10)
        unsure = keys[:, -1] >= keys[:, k - 1] - band
        if k - 1 > _MARGIN:
            unsure |= keys[:, k - 2 - _MARGIN] <= keys[:, k - 1] + band
        if unsure.any():
            index[unsure] = self._by_float64(queries[unsure], count)
        return index, buffer

    def _by_float64(self, queries: np.ndarray, count: int) -> np.ndarray:
        keys = np.empty((len(queries), len(self)))
        for part in self._slices():
            keys[:, part] = queries @ self.rows(part).T + self.offset[part]
        return _largest(keys, count)

    def _by_float32(
        self, queries: np.ndarray, count: int, buffer: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows and float32 keys of the `count` largest, largest first; scratch memory.

        Row i is in group `i % groups`. The `count` largest keys lie in the `count` groups with the
        largest maxima; groups of about √(n/count) rows leave the least to be sorted.
        """
        rows, groups = self._screened(count)
        d = queries.shape[1]
        q = np.zeros((len(queries), rows.shape[1]), dtype=np.float32)
        q[:, :d] = queries
        q[:, d] = 1.0
        need = len(q) * len(rows)
        buffer = buffer if len(buffer) >= need else np.empty(need, dtype=np.float32)
        keys = np.matmul(q, rows.T, out=buffer[:need].reshape(len(q), len(rows)))
        size = len(rows) // groups
        group = _largest(keys.reshape(len(q), size, groups).max(axis=1), count)
        index = (group[:, None, :] + groups * np.arange(size)[:, None]).reshape(len(q), -1)
        inside = np.take_along_axis(keys, index, axis=1)
        top = _largest(inside, count)
        nearest = np.take_along_axis(index, top, axis=1)
        return nearest, np.take_along_axis(inside, top, axis=1), buffer

    def _screened(self, count: int) -> tuple[np.ndarray, int]:
        """float32 rows, the offset as one more column, padded to whole groups; groups."""
        n, d = self.features.shape
        size = max(1, int(np.sqrt(n / count)))
        groups = -(-n // size)
        if self._screen is None or len(self._screen) < groups * size:
            screen = np.zeros((groups * size, -(-(d + 1) // 16) * 16), dtype=np.float32)
            for part in self._slices():
                screen[part, :d] = self.rows(part)
            screen[:n, d] = self.offset
            screen[n:, d] = -1e30
            self._screen = screen
        return self._screen[: groups * size], groups

    def _slices(self) -> Iterator[slice]:
        return row_slices(len(self))


def _largest(keys: np.ndarray, count: int) -> np.ndarray:
    """Columns of the `count` largest keys per row, largest first."""
    n = keys.shape[1]
    top = np.argpartition(keys, n - count, axis=1)[:, n - count :]
    order = np.argsort(-np.take_along_axis(keys, top, axis=1), axis=1)
    return np.take_along_axis(top, order, axis=1)
