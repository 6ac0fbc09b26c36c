"""Activations of one layer: arrays, or a promise to read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ood_core.errors import DataError

__all__ = ["ROW_FIELDS", "LayerRecord", "LazyRecord"]


@dataclass(frozen=True, eq=False)
class LayerRecord:
    """Activations of one layer for n images, without the maps.

    Parameters
    ----------
    pooled : (n, c), mean over the layer's positions, per channel (global average pooling).
    active_fraction : (n, c), share of positions where the unit is > 0.
    l1, l2 : (n,), norms of the flat activation over all c x positions units.
    l0 : (n,), number of flat units > 0.
    negatives : (n,), number of flat units < 0 (a ReLU layer has none).
    positions : number of positions per channel (1 for a vector).
    active_counts : (c * positions,), per flat unit the number of the n images where it is > 0,
        or None where it was not recorded.
    """

    pooled: np.ndarray
    active_fraction: np.ndarray
    l1: np.ndarray
    l2: np.ndarray
    l0: np.ndarray
    negatives: np.ndarray
    positions: int = 1
    active_counts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pooled)

    @property
    def n_channels(self) -> int:
        """Number of channels c (units of a vector layer)."""
        return int(self.pooled.shape[1])

    @property
    def n_units(self) -> int:
        """Number of flat units: channels x positions."""
        return self.n_channels * self.positions

    @classmethod
    def from_vectors(cls, vectors: np.ndarray) -> LayerRecord:
        """Record of a layer whose output is one vector per image, shape (n, d)."""
        a = np.asarray(vectors)
        if a.ndim != 2:
            raise DataError(f"layer vectors must have shape (samples, units), got {a.shape}.")
        wide = a.astype(np.float64, copy=False)
        active = a > 0
        return cls(
            pooled=a,
            active_fraction=active.astype(np.float32),
            l1=np.abs(wide).sum(1),
            l2=np.sqrt(np.einsum("nd,nd->n", wide, wide)),
            l0=active.sum(1),
            negatives=(a < 0).sum(1),
            active_counts=active.sum(0),
        )

    def take(self, index: np.ndarray | slice) -> LayerRecord:
        """Record of the chosen images. `active_counts` belong to a whole set and are dropped.

        Fields are cut when they are first asked for: one that nobody reads costs nothing.
        """
        n = len(np.arange(len(self))[index])

        @cache
        def cut(field: str) -> np.ndarray:
            rows: np.ndarray = getattr(self, field)[index]
            return rows

        return LazyRecord(cut, n, self.n_channels, self.positions)


ROW_FIELDS = ("pooled", "active_fraction", "l1", "l2", "l0", "negatives")
"""Fields of a LayerRecord that have one row per image."""


class LazyRecord(LayerRecord):
    """Record whose fields come from `read(field)` each time they are asked for.

    What is kept in memory is the reader's choice: the store's reader has a bounded cache.
    """

    def __init__(
        self,
        read: Callable[[str], np.ndarray],
        n: int,
        channels: int,
        positions: int = 1,
        counted: bool = False,
    ) -> None:
        for name, value in (
            ("_read", read), ("_n", n), ("_channels", channels), ("positions", positions),
            ("_counted", counted),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    def __getattribute__(self, name: str) -> Any:
        # The dataclass has a class attribute for fields with a default, so __getattr__ alone
        # would never see `active_counts`.
        if name in ROW_FIELDS:
            return object.__getattribute__(self, "_read")(name)
        if name == "active_counts":
            counted = object.__getattribute__(self, "_counted")
            return object.__getattribute__(self, "_read")(name) if counted else None
        return object.__getattribute__(self, name)

    def __len__(self) -> int:
        return int(object.__getattribute__(self, "_n"))

    def __repr__(self) -> str:
        return f"LazyRecord({len(self)} x {self.n_channels} x {self.positions})"

    @property
    def n_channels(self) -> int:
        """Number of channels c, without reading an array."""
        return int(object.__getattribute__(self, "_channels"))
