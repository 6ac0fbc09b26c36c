"""How well L1, L2, NAN and sparsity separate ID from OOD at every layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ood_core import metrics
from ood_core.activations import Activations
from ood_core.errors import DataError
from ood_core.layers.quantities import check_pool, quantities
from ood_core.metrics.counts import summarize

__all__ = ["LAYER_SCORES", "DepthSummary", "best_layers", "layer_metrics", "mean_over_sets"]

LAYER_SCORES = ("l1", "l2", "negative_aware_norm", "sparsity")
"""Scores that exist at every layer: `‖a‖₁`, `‖a‖₂`, `‖a‖₁/‖a‖₀`, `1/‖a‖₀`."""

MEAN = "mean"
"""Name of the unweighted mean over OOD sets in the `ood_set` column."""


def layer_metrics(
    acts: Mapping[str, Activations],
    id_set: str,
    ood_sets: Sequence[str],
    pool: str = "gap",
    layers: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """AUROC and FPR95 of every layer score over depth, one row per layer, score and OOD set.

    Parameters
    ----------
    acts : data set name -> activations, all with the same layers.
    id_set : name of the ID test set; ID is the positive class.
    ood_sets : names of the OOD sets.
    pool : "gap" or "flat".
    layers : layers to look at, all by default, in order of depth.
    progress : called with (layers done, layers in all).

    Returns
    -------
    data frame with columns `layer, depth, score, ood_set, auroc, fpr95, n_units`; rates in 0-1,
    `depth` counts from 1.

    Raises
    ------
    DataError
        For an unknown set or layer, or without OOD sets.
    ConfigError
        For an unknown `pool`.
    """
    check_pool(pool)
    _check_sets(acts, [id_set, *ood_sets])
    if not ood_sets:
        raise DataError("layer metrics compare ID with OOD: choose at least one OOD set.")
    names = list(layers) if layers is not None else list(acts[id_set].layers)
    depths = {name: i for i, name in enumerate(acts[id_set].layers, 1)}
    rows: list[dict[str, object]] = []
    for done, name in enumerate(names, 1):
        inside = quantities(acts[id_set].layer(name), pool)
        sorted_id = {s: summarize(inside.score(s), "ID scores") for s in LAYER_SCORES}
        for ood in ood_sets:
            outside = quantities(acts[ood].layer(name), pool)
            for score in LAYER_SCORES:
                a, b = sorted_id[score], summarize(outside.score(score), "OOD scores")
                rows.append(
                    {
                        "layer": name,
                        "depth": depths[name],
                        "score": score,
                        "ood_set": ood,
                        "auroc": metrics.auroc(a, b),
                        "fpr95": metrics.fpr_at_tpr(a, b, 0.95),
                        "n_units": inside.n_units,
                    }
                )
        if progress:
            progress(done, len(names))
    return pd.DataFrame(rows)


def mean_over_sets(frame: pd.DataFrame) -> pd.DataFrame:
    """Unweighted mean over OOD sets of `layer_metrics`' rates; `ood_set` reads "mean"."""
    keys = ["layer", "depth", "score", "n_units"]
    mean = frame.groupby(keys, sort=False, as_index=False)[["auroc", "fpr95"]].mean()
    return mean.assign(ood_set=MEAN)[list(frame.columns)]


@dataclass(frozen=True)
class DepthSummary:
    """What the curves over depth say, in numbers.

    Attributes
    ----------
    best : score -> (layer, value) with the highest AUROC, or the lowest FPR95.
    nan_wins : layers at which NAN is better than L1, in order of depth.
    n_layers : number of layers compared.
    largest_gain : (layer, NAN minus L1) where NAN gains most over L1, in the metric's units
        and signed so that a gain is positive.
    """

    best: dict[str, tuple[str, float]]
    nan_wins: tuple[str, ...]
    n_layers: int
    largest_gain: tuple[str, float]


def best_layers(frame: pd.DataFrame, metric: str = "auroc") -> DepthSummary:
    """Best layer of each score, and where NAN beats L1, from rows of a single OOD set or mean."""
    if frame["ood_set"].nunique() != 1:
        raise DataError("best_layers takes the rows of one OOD set; use mean_over_sets first.")
    sign = 1.0 if metric == "auroc" else -1.0
    layers = [str(layer) for layer in frame["layer"].unique()]
    rows = {s: frame[frame["score"] == s].set_index("layer")[metric] for s in LAYER_SCORES}
    value = {s: rows[s].loc[layers].to_numpy(np.float64) for s in LAYER_SCORES}
    best = {s: int(np.argmax(sign * v)) for s, v in value.items()}
    gain = sign * (value["negative_aware_norm"] - value["l1"])
    top = int(np.argmax(gain))
    return DepthSummary(
        best={s: (layers[i], float(value[s][i])) for s, i in best.items()},
        nan_wins=tuple(layer for layer, g in zip(layers, gain, strict=True) if g > 0),
        n_layers=len(layers),
        largest_gain=(layers[top], float(gain[top])),
    )


def _check_sets(acts: Mapping[str, Activations], names: Sequence[str]) -> None:
    for name in names:
        if name not in acts:
            raise DataError(f"unknown data set {name!r}. Available: {', '.join(sorted(acts))}.")
