"""Activations read from the store: an array comes from disk when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise

import numpy as np

from ood_core.activations.record import Activations, LazyRecord
from ood_core.activations.shards import DamagedShardError, read_array, read_metadata
from ood_core.activations.store import Entry, EntryIndex
from ood_core.runtime.bounded import Bounded

__all__ = ["CACHE", "StoredActivations", "StoredLayer", "StoredTable"]


CACHE: Bounded[tuple[str, str], np.ndarray] = Bounded(1 << 30, lambda array: array.nbytes)
"""Arrays of all stored activations of this process that were read lately, by their bytes."""


class StoredTable:
    """Reads fields of one complete entry, shard by shard."""

    def __init__(self, entry: Entry, index: EntryIndex) -> None:
        self.entry = entry
        self.info = index.info
        self.starts = np.concatenate([[0], np.cumsum(index.rows)]).astype(np.int64)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def field(self, name: str) -> np.ndarray:
        """A field for all rows, through the cache."""
        key = (str(self.entry.folder), name)
        return CACHE.get(key, lambda: self.read(name, 0, len(self)))

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """A field for rows start to stop, read-only, from the shards that hold them alone.

        Raises
        ------
        DamagedShardError
            When a shard's bytes have changed. The shard is removed, so that the next
            extraction computes it again.
        """
        array = np.concatenate(list(self._parts(name, start, stop)))
        array.setflags(write=False)
        return array

    def _parts(self, name: str, start: int, stop: int) -> Iterator[np.ndarray]:
        for number, (low, high) in enumerate(pairwise(self.starts)):
            if low < high and low < stop and high > start:
                yield self.array(number, name)[max(start - low, 0) : stop - low]

    def array(self, number: int, name: str) -> np.ndarray:
        """An array of one shard."""
        path = self.entry.shard(number)
        try:
            return read_array(path, name)
        except DamagedShardError as problem:
            path.unlink(missing_ok=True)
            raise DamagedShardError(
                f"{problem} It was removed: prepare the experiment again, which computes "
                "only what is missing."
            ) from problem


class StoredLayer(StoredTable):
    """Fields of a LayerRecord from one entry; what follows from others is not stored."""

    def __init__(self, entry: Entry, index: EntryIndex) -> None:
        super().__init__(entry, index)
        self.channels = int(self.info["channels"])
        self.positions = int(self.info["positions"])

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """A field of LayerRecord for rows start to stop; see StoredTable.read."""
        array: np.ndarray
        if name == "active_counts":
            shards = range(len(self.starts) - 1)
            array = np.sum([self.array(i, name).astype(np.int64) for i in shards], axis=0)
        elif name == "active_fraction" and self.positions == 1:
            array = (self.read("pooled", start, stop) > 0).astype(np.float32)
        elif name == "active_fraction":
            array = super().read("active", start, stop) / np.float32(self.positions)
        else:
            return super().read(name, start, stop)
        array.setflags(write=False)
        return array

    def record(self) -> LazyRecord:
        """All rows as a LayerRecord."""
        return LazyRecord(self.field, len(self), self.channels, self.positions, counted=True)

    def rows(self, start: int, stop: int) -> LazyRecord:
        """Rows start to stop as a LayerRecord that reads no other shards."""
        held = cache(lambda name: self.read(name, start, stop))
        return LazyRecord(held, stop - start, self.channels, self.positions)


class StoredActivations(Activations):
    """Activations whose arrays are read from the store when they are asked for.

    `chunks` reads only the shards of each chunk: what is held does not grow with the set.

    Attributes
    ----------
    skipped : (id, message) of each image that could not be read; it has no row.
    notes : (id, what was assumed of its pixels) of each image of which something was.
    """

    def __init__(
        self, name: str, fingerprint: str, base: StoredTable, layers: Mapping[str, StoredLayer]
    ) -> None:
        super().__init__(
            {key: layer.record() for key, layer in layers.items()},
            name=name,
            fingerprint=fingerprint,
        )
        self._base = base
        self._stored = dict(layers)
        self.skipped = _listed(base, "skipped", base.info["skipped"])
        self.notes = _listed(base, "notes", base.info.get("noted", 0))

    @property
    def logits(self) -> np.ndarray | None:
        """Logits, shape (n, c); None where the network has no head."""
        return self._base.field("logits") if self._has("logits") else None

    @property
    def labels(self) -> np.ndarray | None:
        """Class numbers, shape (n,), int64, -1 where unknown; None where there are none."""
        return self._base.field("labels") if self._has("labels") else None

    @property
    def index(self) -> np.ndarray:
        """Number of each row's image in its image set, shape (n,), int64."""
        return self._base.field("index")

    @property
    def ids(self) -> tuple[str, ...]:
        """Sample ids."""
        if self._ids is None:
            self._ids = self._ids_of(0, len(self))
        return self._ids

    def chunks(self, size: int = 4096) -> Iterator[Activations]:
        """Slices of at most `size` images, in order, each read when its turn comes."""
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            yield Activations(
                {name: layer.rows(start, stop) for name, layer in self._stored.items()},
                logits=self._rows("logits", start, stop),
                labels=self._rows("labels", start, stop),
                ids=self._ids_of(start, stop),
                name=self.name,
            )

    def _has(self, field: str) -> bool:
        info = self._base.info
        return bool(info["labelled"] if field == "labels" else info.get("logits", True))

    def _rows(self, field: str, start: int, stop: int) -> np.ndarray | None:
        return self._base.read(field, start, stop) if self._has(field) else None

    def _ids_of(self, start: int, stop: int) -> tuple[str, ...]:
        starts = self._base.starts
        found: list[str] = []
        for number, (low, high) in enumerate(pairwise(starts)):
            if low < stop and high > start:
                text = self._base.array(number, "ids").tobytes().decode()
                found += json.loads(text)[max(start - low, 0) : stop - low]
        return tuple(found)


def _listed(base: StoredTable, what: str, count: int) -> tuple[tuple[str, str], ...]:
    """(id, text) pairs of all shards; none is opened where there are none."""
    if not count:
        return ()
    shards = (base.entry.shard(i) for i in range(len(base.starts) - 1))
    return tuple((i, text) for path in shards for i, text in read_metadata(path).get(what, ()))
