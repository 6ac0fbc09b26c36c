"""LINe scores of several sets at once: a block of classes at a time, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ood_core.detectors.line import GroupedRows, line_scores
from ood_core.detectors.line_masks import LineMasks
from ood_core.runtime.progress import Meter, ProgressCallback, StopCheck
from ood_core.runtime.threads import THREADS, DaemonPool, one_blas_thread

__all__ = ["THREADS", "blocks", "joined", "parallel", "score_groups"]


def score_groups(
    groups: Mapping[str, GroupedRows],
    present: np.ndarray,
    masks: LineMasks,
    bias: np.ndarray,
    progress: ProgressCallback | None,
    should_stop: StopCheck | None,
) -> dict[str, np.ndarray]:
    """LINe scores of every set, a block of classes at a time over all sets, on all cores.

    A class's masks are applied once for all sets. `masks` hold one row per class in `present`.
    """
    scores = {name: np.empty(len(g.order)) for name, g in groups.items()}
    meter = Meter("LINe scores", sum(map(len, scores.values())), progress, should_stop)

    def work(block: slice) -> int:
        low, high = present[block][0], present[block][-1] + 1
        rows = {n: g.order[g.bounds[low] : g.bounds[high]] for n, g in groups.items()}
        together = _gather(groups, rows, present[block])
        here = replace(masks, units=masks.units[block], cutoff=masks.cutoff[block])
        found = line_scores(together, here, bias)
        ends = np.cumsum([len(r) for r in rows.values()])
        for (name, at), part in zip(rows.items(), np.split(found, ends[:-1]), strict=True):
            scores[name][at] = part
        return len(found)

    parallel(work, blocks(len(present)), meter.advance)
    return scores


def _gather(
    groups: Mapping[str, GroupedRows], rows: Mapping[str, np.ndarray], classes: np.ndarray
) -> GroupedRows:
    """Rows of some classes from all sets as one group; bounds count within `classes`."""
    features = np.concatenate([groups[name].features[at] for name, at in rows.items()])
    sizes = [np.diff(g.bounds)[classes] for g in groups.values()]
    local = np.concatenate([np.repeat(np.arange(len(classes)), s) for s in sizes])
    order = np.argsort(local, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.sum(sizes, axis=0))])
    clip = next(iter(groups.values())).clip
    return GroupedRows(features, clip, order, bounds)


def blocks(n: int, most: int = 64) -> list[slice]:
    """At most `most` slices of equal length that cover n classes."""
    size = max(1, -(-n // most))
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


def parallel(
    work: Callable[[slice], Any], parts: Sequence[slice], done: Callable[[Any], None]
) -> list[Any]:
    """Results of `work` in order; `done(result)` is called here, in order, and may stop it."""
    results = []
    with one_blas_thread(), DaemonPool(THREADS, "ood-line") as pool:
        futures = [pool.submit(work, part) for part in parts]
        try:
            for future in futures:
                results.append(future.result())
                done(results[-1])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results


def joined(parts: Sequence[LineMasks]) -> LineMasks:
    """Masks of consecutive classes as one."""
    names = ("units", "cutoff", "unit_threshold", "weight_threshold")
    arrays = {n: np.concatenate([getattr(p, n) for p in parts]) for n in names}
    return LineMasks(weight=parts[0].weight, **arrays)
