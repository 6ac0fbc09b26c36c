"""What one forward pass leaves behind: arrays per layer, logits, labels and sample ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ood_core.activations.layer_record import LayerRecord, LazyRecord
from ood_core.data.class_numbers import class_numbers
from ood_core.errors import DataError, did_you_mean
from ood_core.models.layer_info import PENULTIMATE

__all__ = ["PENULTIMATE", "Activations", "LayerRecord", "LazyRecord"]


class Activations:
    """Activations of one data set: penultimate features, logits, labels, ids and layers.

    Build one from arrays with `from_arrays`; `ood_core.extract` returns them from its store.
    Arrays are read-only: a detector that writes into its input fails at once.

    Attributes
    ----------
    features : (n, d), input of the head.
    logits : (n, c) or None.
    labels : (n,) int64, -1 where unknown, or None.
    ids : tuple of n sample ids (a path, or "set/number").
    layers : mapping layer name -> LayerRecord in order of depth; always holds PENULTIMATE.
    name : the data set's name.
    fingerprint : identifies content; equal fingerprints mean equal arrays.
    """

    def __init__(
        self,
        layers: Mapping[str, LayerRecord],
        *,
        logits: np.ndarray | None = None,
        labels: np.ndarray | Sequence[int] | None = None,
        ids: Sequence[str] | None = None,
        name: str = "arrays",
        fingerprint: str = "",
    ) -> None:
        if PENULTIMATE not in layers:
            raise DataError(f"layers must include {PENULTIMATE!r}; got {list(layers)}.")
        self.layers = layers
        self.name = name
        self.fingerprint = fingerprint
        self._logits = logits
        n = len(self)
        self._labels = None if labels is None else class_numbers(labels, n=n)
        self._ids = None if ids is None else tuple(ids)
        for what, array in (("logits", logits), ("ids", self._ids)):
            if array is not None and len(array) != n:
                raise DataError(f"{what} has {len(array)} rows but features has {n}.")

    @property
    def features(self) -> np.ndarray:
        """Penultimate features, shape (n, d)."""
        return self.layers[PENULTIMATE].pooled

    @property
    def logits(self) -> np.ndarray | None:
        """Logits, shape (n, c), or None."""
        return self._logits

    @property
    def labels(self) -> np.ndarray | None:
        """Class numbers, shape (n,), int64, -1 where unknown; None where there are none."""
        return self._labels

    @property
    def ids(self) -> tuple[str, ...]:
        """Sample ids; "name/number" where none were given."""
        if self._ids is None:
            self._ids = tuple(f"{self.name}/{i}" for i in range(len(self)))
        return self._ids

    def __len__(self) -> int:
        return len(self.layers[PENULTIMATE])

    def __repr__(self) -> str:
        d = self.layers[PENULTIMATE].n_channels
        return f"Activations({self.name!r}, {len(self)} x {d}, layers={list(self.layers)})"

    @classmethod
    def from_arrays(
        cls,
        features: np.ndarray,
        logits: np.ndarray | None = None,
        labels: np.ndarray | Sequence[int] | None = None,
        ids: Sequence[str] | None = None,
        layers: Mapping[str, np.ndarray | LayerRecord] | None = None,
        name: str = "arrays",
    ) -> Activations:
        """Build activations by hand, without any model.

        Parameters
        ----------
        features : (n, d) penultimate features.
        logits : (n, c), optional.
        labels : (n,) class numbers, -1 where unknown, optional; see `data.class_numbers` for what
            is taken.
        layers : name -> (n, units) array or LayerRecord for other layers, shallow to deep.

        Raises
        ------
        DataError
            On wrong shapes, on NaN or infinite values, or on labels that are no class numbers.
        """
        features = _checked(features, "features")
        z = None if logits is None else _checked(logits, "logits")
        records: dict[str, LayerRecord] = {}
        for layer, value in (layers or {}).items():
            records[layer] = (
                value
                if isinstance(value, LayerRecord)
                else LayerRecord.from_vectors(_checked(value, f"layer {layer!r}"))
            )
        records[PENULTIMATE] = LayerRecord.from_vectors(features)
        return cls(records, logits=z, labels=labels, ids=ids, name=name)

    def layer(self, name: str | None = None) -> LayerRecord:
        """Record of the named layer; of the penultimate layer for None."""
        key = name or PENULTIMATE
        if key not in self.layers:
            raise DataError(f"unknown layer {key!r}. {did_you_mean(key, self.layers)}")
        return self.layers[key]

    def take(self, index: np.ndarray | slice) -> Activations:
        """Activations of the chosen images, in the order given."""
        return Activations(
            {name: record.take(index) for name, record in self.layers.items()},
            logits=None if self.logits is None else self.logits[index],
            labels=None if self.labels is None else self.labels[index],
            ids=_picked(self.ids, index),
            name=self.name,
        )

    def chunks(self, size: int = 4096) -> Iterator[Activations]:
        """Slices of at most `size` images, in order: what bounds memory while scoring."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))


def _picked(ids: tuple[str, ...], index: np.ndarray | slice) -> tuple[str, ...]:
    if isinstance(index, slice):
        return ids[index]
    return tuple(ids[i] for i in np.arange(len(ids))[index])


def _checked(array: np.ndarray, what: str) -> np.ndarray:
    a = np.array(array)
    if a.ndim != 2:
        raise DataError(f"{what} must have shape (samples, values), got {a.shape}.")
    if not np.issubdtype(a.dtype, np.floating):
        a = a.astype(np.float64)
    if not np.isfinite(a).all():
        raise DataError(f"{what} holds NaN or infinite values; scores would be meaningless.")
    a.setflags(write=False)
    return a
