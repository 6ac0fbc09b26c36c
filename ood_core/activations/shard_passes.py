"""From missing shards to their results: decode ahead, forward, collect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ood_core.activations.decoding import Batch, Span, decoded_batches
from ood_core.activations.record import PENULTIMATE
from ood_core.activations.shard_tasks import ShardResult, ShardTask

if TYPE_CHECKING:
    from ood_core.activations.engine import Runner
    from ood_core.data import ImageSet, Transform

__all__ = ["compute_shards"]

_SUMMED = "active_counts"


def compute_shards(
    runner: Runner,
    source: ImageSet,
    transform: Transform,
    tasks: Sequence[ShardTask],
    advanced: Callable[[int], None],
) -> Iterator[ShardResult]:
    """Yield the result of each task in order; `advanced(n)` is called after each batch.

    An image whose logits are not finite is skipped with a message, like one that cannot be read.
    """
    results = _passed(runner, source, transform, tasks, advanced)
    for result in results:
        while bad := _not_finite(result, source):
            again = _passed(runner, source, transform, [result.task], lambda _: None, bad)
            result = next(again)
        yield result


def _not_finite(result: ShardResult, source: ImageSet) -> dict[int, str]:
    """Images to leave out when the shard is passed again: number -> why."""
    outputs = result.logits
    if outputs is None:
        outputs = result.layers.get(PENULTIMATE, {}).get("pooled", np.empty((0, 0)))
    rows = ~np.isfinite(outputs).all(1)
    if not rows.any():
        return {}
    why = "the network's output is not a finite number. Try without amp; check the weights."
    found = {int(i): f"{source.ids[i]}: {why}" for i in result.index[rows]}
    return {**dict(result.skipped), **found}


def _passed(
    runner: Runner,
    source: ImageSet,
    transform: Transform,
    tasks: Sequence[ShardTask],
    advanced: Callable[[int], None],
    excluded: Mapping[int, str] | None = None,
) -> Iterator[ShardResult]:
    building: dict[int, _Building] = {task.number: _Building(task) for task in tasks}
    spans = (span for task in tasks for span in _spans(task, runner.batch_size))
    batches = decoded_batches(
        source,
        transform,
        spans,
        shape=runner.loaded.input_shape,
        workers=runner.workers,
        excluded=excluded,
        stage=runner.stage,
    )
    for batch in batches:
        current = building[batch.span.shard]
        current.add(batch, runner.statistics(batch.images, current.task.layers))
        advanced(batch.span.stop - batch.span.start)
        if batch.span.stop == current.task.stop:
            yield building.pop(batch.span.shard).result()


def _spans(task: ShardTask, size: int) -> Iterator[Span]:
    for start in range(task.start, task.stop, size):
        yield Span(task.number, start, min(start + size, task.stop))


@dataclass
class _Building:
    """A shard's results so far. Tensors stay on their device until the shard is complete."""

    task: ShardTask
    parts: list[dict[str, Any]] = field(default_factory=list)
    index: list[np.ndarray] = field(default_factory=list)
    skipped: list[tuple[int, str]] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)

    def add(self, batch: Batch, parts: list[dict[str, Any]]) -> None:
        """Add one batch."""
        self.index.append(batch.index)
        self.skipped += batch.skipped
        self.notes += batch.notes
        self.parts += parts

    def result(self) -> ShardResult:
        """Everything joined, as numpy arrays."""
        index = np.concatenate(self.index)
        if not self.parts:
            nothing = np.empty((0, 0), np.float32)
            return ShardResult(self.task, index, self.skipped, nothing, {}, self.notes)
        layers = {
            layer.name: {
                name: _joined([part[layer.name][name] for part in self.parts], name)
                for name in self.parts[0][layer.name]
            }
            for layer in self.task.layers
        }
        has_head = "logits" in self.parts[0]
        logits = _joined([p["logits"] for p in self.parts], "logits") if has_head else None
        return ShardResult(self.task, index, self.skipped, logits, layers, self.notes)


def _joined(tensors: list[Any], name: str) -> np.ndarray:
    import torch

    joined = sum(tensors) if name == _SUMMED else torch.cat(tensors)
    array: np.ndarray = joined.cpu().numpy()
    return array
