"""Filling the store with one image set: which shards are missing, and writing those computed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ood_core.activations import store
from ood_core.activations.shards import read_array, read_metadata, write_shard
from ood_core.activations.store import BASE, Entry
from ood_core.errors import DataError

if TYPE_CHECKING:
    from ood_core.data import ImageSet
    from ood_core.models import LayerInfo

__all__ = ["SetFiller", "ShardResult", "ShardTask"]


@dataclass(frozen=True)
class ShardTask:
    """Images start to stop of a set, of which these layers are missing."""

    number: int
    start: int
    stop: int
    layers: tuple[LayerInfo, ...]

    @property
    def n_images(self) -> int:
        """Number of images to pass through the network."""
        return self.stop - self.start


@dataclass
class ShardResult:
    """What a task gave.

    Parameters
    ----------
    index : (n,) numbers of the images that could be read, in order.
    skipped : (number, message) of the others.
    logits : (n, c) float32; None for a network without a head.
    layers : layer name -> statistics as of `layer_statistics`, as arrays; empty without images.
    notes : (number, what was assumed of its pixels) of the images of which something was.
    """

    task: ShardTask
    index: np.ndarray
    skipped: list[tuple[int, str]]
    logits: np.ndarray | None
    layers: dict[str, dict[str, np.ndarray]]
    notes: list[tuple[int, str]] = field(default_factory=list)


class SetFiller:
    """The entries of one image set while they are written. Use it under the set's lock.

    The base shard says which images have a row. A layer's shard is written only beside a base
    shard with the same images, so rows of different layers always belong together.

    Parameters
    ----------
    key : the set's key in the store.
    source : its images.
    layers : layers wanted.
    info : what `store_usage` shows of the entries.
    """

    def __init__(
        self, key: str, source: ImageSet, layers: Sequence[LayerInfo], info: dict[str, Any]
    ) -> None:
        self.source = source
        self.layers = tuple(layers)
        self.info = {**info, "images": len(source), "labelled": source.labels is not None}
        self.base = Entry(key, BASE)
        self.entries = {layer.name: Entry(key, layer.name) for layer in layers}
        self._ids, self._labels = source.ids, source.labels

    @property
    def n_shards(self) -> int:
        """Shards of the complete set."""
        return -(-len(self.source) // store.SHARD_IMAGES)

    def begin(self) -> list[ShardTask]:
        """Clear what a killed run left half written; return what is missing."""
        for leftover in self.base.folder.parent.glob("*/.*.tmp"):
            leftover.unlink(missing_ok=True)
        self.base.begin(self.info)
        for layer in self.layers:
            self.entries[layer.name].begin(self._layer_info(layer))
        return self.missing()

    def missing(self) -> list[ShardTask]:
        """Shards that are not there whole, with the layers to compute."""
        tasks = []
        for number in range(self.n_shards):
            start = number * store.SHARD_IMAGES
            stop = min(start + store.SHARD_IMAGES, len(self.source))
            whole = self.base.has(number)
            if not whole:
                self._forget(number)
            wanted = self.layers
            if whole:
                wanted = tuple(i for i in wanted if not self.entries[i.name].has(number))
            if wanted or not whole:
                tasks.append(ShardTask(number, start, stop, wanted))
        return tasks

    def write(self, result: ShardResult) -> None:
        """Write a result's shards, the base first.

        When an image could be read before and cannot now, or the other way round, everything
        of this shard is removed, so that `missing` asks for all of it again.

        Raises
        ------
        DataError
            When an image changed or went away since the set's key was made from it: what was
            computed is of other images than the key says.
        """
        self._refuse_changed(result.task)
        number = result.task.number
        path = self.base.shard(number)
        if path.exists():
            if not np.array_equal(read_array(path, "index"), result.index):
                self._forget(number)
                return
        else:
            self._write_base(path, result)
        for layer in result.task.layers:
            arrays = _compact(result.layers.get(layer.name) or _nothing(layer), layer.positions)
            write_shard(self.entries[layer.name].shard(number), arrays, {"rows": len(result.index)})

    def _refuse_changed(self, task: ShardTask) -> None:
        changed = self.source.first_changed(range(task.start, task.stop))
        if changed is not None:
            raise DataError(
                f"{self._ids[changed]} of {self.source.name!r} was changed, moved or removed while "
                "the set was being read, so this part was not stored. When its files stay as they "
                "are, or their drive is connected again, run this again."
            )

    def finish(self) -> None:
        """Mark the entries complete; those that are already are left alone.

        Raises
        ------
        DataError
            When not one image could be read, with the reason of the first.
        """
        shards = [read_metadata(self.base.shard(i)) for i in range(self.n_shards)]
        skipped = [item for shard in shards for item in shard["skipped"]]
        if len(skipped) == len(self.source):
            raise DataError(
                f"none of the {len(skipped)} images of {self.source.name!r} can be read; the "
                f"first, {skipped[0][0]}: {skipped[0][1]}"
            )
        if self.base.index() is None:
            noted = sum(len(shard.get("notes", ())) for shard in shards)
            counts = {"skipped": len(skipped), **({"noted": noted} if noted else {})}
            self.base.finish({**self.info, **counts}, self.n_shards)
        for layer in self.layers:
            entry = self.entries[layer.name]
            if entry.index() is None:
                entry.finish(self._layer_info(layer), self.n_shards)

    def _layer_info(self, layer: LayerInfo) -> dict[str, Any]:
        return {**self.info, "channels": layer.channels, "positions": layer.positions}

    def _write_base(self, path: Path, result: ShardResult) -> None:
        ids = json.dumps([self._ids[i] for i in result.index]).encode()
        arrays = {
            "index": result.index,
            "ids": np.frombuffer(ids, np.uint8),
        }
        if result.logits is not None:
            arrays["logits"] = result.logits
        if self._labels is not None:
            arrays["labels"] = np.asarray(self._labels, np.int64)[result.index]
        skipped = [(self._ids[i], message) for i, message in result.skipped]
        notes = [(self._ids[i], note) for i, note in result.notes]
        found = {"skipped": skipped, **({"notes": notes} if notes else {})}
        write_shard(path, arrays, {"rows": len(result.index), **found})

    def _forget(self, number: int) -> None:
        """Remove this shard of every layer of the set, wanted now or not."""
        for path in self.base.folder.parent.glob(f"*/{number:05d}.safetensors"):
            path.unlink(missing_ok=True)


def _nothing(layer: LayerInfo) -> dict[str, np.ndarray]:
    """Statistics of no image at all."""
    return {
        "pooled": np.empty((0, layer.channels), np.float32),
        "active": np.empty((0, layer.channels), np.int64),
        **dict.fromkeys(("l1", "l2"), np.empty(0)),
        **dict.fromkeys(("l0", "negatives"), np.empty(0, np.int64)),
        "active_counts": np.zeros(layer.channels * layer.positions, np.int64),
    }


def _compact(statistics: dict[str, np.ndarray], positions: int) -> dict[str, np.ndarray]:
    """Smallest types that hold the counts exactly; a vector's `active` follows from `pooled`."""
    arrays = dict(statistics)
    if positions == 1:
        del arrays["active"]
    else:
        arrays["active"] = arrays["active"].astype(np.min_scalar_type(positions))
    arrays["active_counts"] = arrays["active_counts"].astype(np.min_scalar_type(store.SHARD_IMAGES))
    return arrays
