"""Images to batches: decoded by threads ahead of the network, in order, broken ones set aside."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ood_core.data import BrokenImageError, decoding_note
from ood_core.errors import DataError
from ood_core.runtime.threads import DaemonPool

if TYPE_CHECKING:
    from ood_core.data import ImageSet, Transform

__all__ = ["Batch", "Span", "decoded_batches"]

_TASK_IMAGES = 8


@dataclass(frozen=True)
class Span:
    """Images start to stop of a set; `shard` is where their results go."""

    shard: int
    start: int
    stop: int


@dataclass
class Batch:
    """Decoded images of a span.

    Parameters
    ----------
    images : float32, shape (n, channels, height, width), those that could be read, as `stage`
        returned them.
    index : (n,) their numbers in the image set.
    skipped : (number, message) of those that could not.
    notes : (number, what was assumed of its pixels) of those of which something was.
    """

    span: Span
    images: Any
    index: np.ndarray
    skipped: list[tuple[int, str]] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)


def decoded_batches(
    source: ImageSet,
    transform: Transform,
    spans: Iterable[Span],
    *,
    shape: tuple[int, ...],
    workers: int,
    ahead: int = 3,
    excluded: Mapping[int, str] | None = None,
    stage: Callable[[np.ndarray], Any] = lambda images: images,
) -> Iterator[Batch]:
    """Yield the batches of `spans` in order while threads make the next `ahead` of them.

    `stage` brings a batch to where the network takes it from (pinned memory); it runs in a
    thread of its own, so that the caller finds batches ready.

    Parameters
    ----------
    source, transform, spans : what to decode.
    shape : (channels, height, width) that the network takes.
    workers : threads that decode.
    ahead : batches that wait at most.
    excluded : image number -> why it is left out.

    Raises
    ------
    DataError
        When an image gives an input of another shape.
    """
    pool = DaemonPool(workers, "ood-decode")
    assembler = DaemonPool(1, "ood-stage")
    waiting: deque[Future[Batch]] = deque()
    left_out = excluded or {}
    try:
        for span in spans:
            numbers = range(span.start, span.stop)
            tasks = [
                pool.submit(
                    _decode, source, transform, shape, numbers[i : i + _TASK_IMAGES], left_out
                )
                for i in range(0, len(numbers), _TASK_IMAGES)
            ]
            waiting.append(assembler.submit(_assembled, span, tasks, stage))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        assembler.shutdown(wait=False, cancel_futures=True)
        pool.shutdown(wait=True, cancel_futures=True)


_Decoded = list[tuple[int, "np.ndarray | str", str]]


def _decode(
    source: ImageSet,
    transform: Transform,
    shape: tuple[int, ...],
    numbers: Sequence[int],
    excluded: Mapping[int, str],
) -> _Decoded:
    """Each image's input, or why there is none, and what was assumed of its pixels."""
    found: _Decoded = []
    for number in numbers:
        note = ""
        try:
            result = excluded.get(number) or transform(image := source.load(number))
            note = "" if isinstance(result, str) else decoding_note(image)
        except BrokenImageError as problem:
            result = str(problem)
        except (OSError, ValueError, MemoryError) as problem:
            reason = str(problem) or type(problem).__name__
            result = f"{source.ids[number]}: cannot be transformed ({reason})."
        if not isinstance(result, str) and result.shape != shape:
            raise DataError(
                f"{source.name}/{source.ids[number]} reaches the network with shape "
                f"{result.shape}, others with {shape}. Set center_crop in [preprocessing], so that "
                "every image has the same size."
            )
        found.append((number, result, note))
    return found


def _assembled(
    span: Span, tasks: list[Future[_Decoded]], stage: Callable[[np.ndarray], Any]
) -> Batch:
    index: list[int] = []
    arrays: list[np.ndarray] = []
    skipped: list[tuple[int, str]] = []
    notes: list[tuple[int, str]] = []
    for number, result, note in (item for task in tasks for item in task.result()):
        if isinstance(result, str):
            skipped.append((number, result))
        else:
            index.append(number)
            arrays.append(result)
            notes += [(number, note)] if note else []
    images = np.stack(arrays) if arrays else np.empty((0, 0, 0, 0), np.float32)
    return Batch(span, stage(images), np.asarray(index, np.int64), skipped, notes)
