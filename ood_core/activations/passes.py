"""From missing shards to their results: decode ahead, forward, collect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ood_core.activations.decoding import Batch, Span, decoded_batches
from ood_core.activations.filling import ShardResult, ShardTask

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
    """Yield the result of each task in order; `advanced(n)` is called after each batch."""
    building: dict[int, _Building] = {task.number: _Building(task) for task in tasks}
    spans = (span for task in tasks for span in _spans(task, runner.batch_size))
    workers = runner.options.workers
    for batch in decoded_batches(source, transform, spans, workers, stage=runner.stage):
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

    def add(self, batch: Batch, parts: list[dict[str, Any]]) -> None:
        """Add one batch."""
        self.index.append(batch.index)
        self.skipped += batch.skipped
        self.parts += parts

    def result(self) -> ShardResult:
        """Everything joined, as numpy arrays."""
        index = np.concatenate(self.index)
        if not self.parts:
            return ShardResult(self.task, index, self.skipped, np.empty((0, 0), np.float32), {})
        layers = {
            layer.name: {
                name: _joined([part[layer.name][name] for part in self.parts], name)
                for name in self.parts[0][layer.name]
            }
            for layer in self.task.layers
        }
        logits = _joined([part["logits"] for part in self.parts], "logits")
        return ShardResult(self.task, index, self.skipped, logits, layers)


def _joined(tensors: list[Any], name: str) -> np.ndarray:
    import torch

    joined = sum(tensors) if name == _SUMMED else torch.cat(tensors)
    array: np.ndarray = joined.cpu().numpy()
    return array
