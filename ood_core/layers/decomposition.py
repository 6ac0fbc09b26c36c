"""NAN taken apart: the norm of each image against its number of active units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ood_core import metrics
from ood_core.activations import Activations
from ood_core.errors import DataError
from ood_core.layers.quantities import Quantities, quantities

__all__ = ["NanApart", "nan_apart"]

_SCORES = ("l1", "sparsity", "negative_aware_norm")


@dataclass(frozen=True, eq=False)
class NanApart:
    """Everything that the picture of `‖a‖₁` against `‖a‖₀` draws; it does not grow with n.

    Attributes
    ----------
    points : columns `set, index, active, l1, negative_aware_norm`: an even subsample of each set,
        `index` into that set. All images where a set is small.
    marginals : columns `set, axis ("active" or "l1"), left, right, count, share`, exact.
    density : set -> (rows = l1 bins, columns = active bins) counts over the edges, exact.
    active_edges, l1_edges : edges of the bins, even within the range; an outer bin gathers the
        few images beyond it.
    active_range, l1_range : ends that hold at least 99 % of every set.
    totals : set -> number of images.
    thresholds : "l1", "sparsity" and "negative_aware_norm" -> value that accepts 95 % of the ID
        images.
    iso : NAN values of the iso-lines: 5 %, 50 % and 95 % quantile over ID images.
    auroc : columns `ood_set, l1, sparsity, negative_aware_norm`, AUROC of each part and of the
        whole.
    layer, pool, n_units : what was measured.
    """

    points: pd.DataFrame
    marginals: pd.DataFrame
    density: dict[str, np.ndarray]
    active_edges: np.ndarray
    l1_edges: np.ndarray
    active_range: tuple[float, float]
    l1_range: tuple[float, float]
    totals: dict[str, int]
    thresholds: dict[str, float]
    iso: tuple[float, float, float]
    auroc: pd.DataFrame
    layer: str
    pool: str
    n_units: int


def nan_apart(
    acts: Mapping[str, Activations],
    id_set: str,
    ood_sets: Sequence[str],
    layer: str | None = None,
    pool: str = "gap",
    max_points: int = 4000,
    bins: int = 48,
) -> NanApart:
    """Take `NAN = ‖a‖₁ / ‖a‖₀` apart, so that one sees why it separates where a norm does not.

    Parameters
    ----------
    acts, id_set, ood_sets : activations by name; ID is the positive class.
    layer, pool : which activation; `layer=None` is the penultimate layer.
    max_points : most points over all sets; every set gets an equal part of them.
    bins : bins per axis of the marginals and the density, which count every image.

    Raises
    ------
    DataError
        Without OOD sets, or for an unknown layer.
    """
    if not ood_sets:
        raise DataError("taking NAN apart compares ID with OOD: choose at least one OOD set.")
    parts = {name: quantities(acts[name].layer(layer), pool) for name in (id_set, *ood_sets)}
    inside = parts[id_set]
    active_range, active_edges = _edges([q.l0 for q in parts.values()], bins, whole=True)
    l1_range, l1_edges = _edges([q.l1 for q in parts.values()], bins)
    return NanApart(
        points=_subsample(parts, max_points),
        marginals=_marginals(parts, active_edges, l1_edges),
        density={
            name: np.histogram2d(q.l1, q.l0, [l1_edges, active_edges])[0].astype(np.int64)
            for name, q in parts.items()
        },
        active_edges=active_edges,
        l1_edges=l1_edges,
        active_range=active_range,
        l1_range=l1_range,
        totals={name: len(q.l1) for name, q in parts.items()},
        thresholds={s: _accepts_95(inside.score(s)) for s in _SCORES},
        iso=tuple(np.quantile(inside.negative_aware_norm, [0.05, 0.5, 0.95]).tolist()),
        auroc=pd.DataFrame([_row(inside, parts[ood], ood) for ood in ood_sets]),
        layer=layer or "penultimate",
        pool=pool,
        n_units=inside.n_units,
    )


def _row(inside: Quantities, outside: Quantities, ood: str) -> dict[str, object]:
    row: dict[str, object] = {"ood_set": ood}
    return row | {s: metrics.auroc(inside.score(s), outside.score(s)) for s in _SCORES}


def _accepts_95(scores: np.ndarray) -> float:
    """Return the k-th largest score, k = ⌈0.95 n⌉: the threshold of FPR95."""
    k = (95 * len(scores) + 99) // 100
    return float(np.partition(scores, len(scores) - k)[len(scores) - k])


def _edges(
    values: Sequence[np.ndarray], bins: int, whole: bool = False
) -> tuple[tuple[float, float], np.ndarray]:
    """Range that holds 99 % of every set, and edges over it; `whole`: half-way between numbers."""
    low = min(float(np.quantile(v, 0.005)) for v in values)
    high = max(float(np.quantile(v, 0.995)) for v in values)
    if whole:
        low, high = float(np.floor(low)), float(np.ceil(high))
        width = max(1, -(-int(high - low + 1) // bins))
        edges = np.arange(low, high + width + 1, width) - 0.5
    else:
        edges = np.histogram_bin_edges([low, high], bins)
    inner = (float(edges[0]), float(edges[-1]))
    least = min(float(v.min()) for v in values) - (0.5 if whole else 0.0)
    most = max(float(v.max()) for v in values) + (0.5 if whole else 0.0)
    before = [least] if least < inner[0] else []
    after = [most] if most > inner[1] else []
    return inner, np.concatenate([before, edges, after])


def _subsample(parts: Mapping[str, Quantities], max_points: int) -> pd.DataFrame:
    each = max(1, max_points // len(parts))
    frames = []
    for name, q in parts.items():
        n = len(q.l1)
        index = np.arange(n) if n <= each else np.linspace(0, n - 1, each).astype(np.int64)
        columns = {"set": name, "index": index, "active": q.l0[index].astype(np.int64)}
        scores = {s: q.score(s)[index] for s in ("l1", "negative_aware_norm")}
        frames.append(pd.DataFrame(columns | scores))
    return pd.concat(frames, ignore_index=True)


def _marginals(
    parts: Mapping[str, Quantities], active_edges: np.ndarray, l1_edges: np.ndarray
) -> pd.DataFrame:
    frames = []
    for name, q in parts.items():
        for axis, values, edges in (("active", q.l0, active_edges), ("l1", q.l1, l1_edges)):
            count, _ = np.histogram(values, edges)
            columns = {"set": name, "axis": axis, "left": edges[:-1], "right": edges[1:]}
            frames.append(pd.DataFrame(columns).assign(count=count, share=count / len(values)))
    return pd.concat(frames, ignore_index=True)
