"""What neurons do on ID and on OOD images: their means, and one neuron looked at closely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ood_core.activations import Activations
from ood_core.errors import DataError
from ood_core.models import ClassifierHead
from ood_core.runtime.names import in_utf8

__all__ = [
    "NeuronDrill",
    "activity",
    "drill",
    "mean_activations",
    "neuron_column",
    "share_active",
    "strongest_first",
    "top_images",
]

_CHUNK = 8192


def mean_activations(acts: Mapping[str, Activations], sets: Sequence[str]) -> pd.DataFrame:
    """Mean activation of each penultimate neuron over each set: the LINe paper's picture.

    Returns
    -------
    data frame with `neuron` and one column per set, d rows in order of neuron number.

    References
    ----------
    Ahn et al., CVPR 2023, arXiv 2303.13995: OOD images excite a few neurons far above what ID
    images do, which clipping bounds.
    """
    means = {name: _mean(acts[name].features) for name in sets}
    d = len(next(iter(means.values()))) if means else 0
    return pd.DataFrame({"neuron": np.arange(d), **means})


def share_active(acts: Mapping[str, Activations], sets: Sequence[str]) -> pd.DataFrame:
    """Share of each set's images on which a penultimate neuron is active, that is above 0.

    Returns
    -------
    data frame with `neuron` and one column per set, 0-1, d rows in order of neuron number.
    """
    shares = {name: _mean(acts[name].features, active=True) for name in sets}
    d = len(next(iter(shares.values()))) if shares else 0
    return pd.DataFrame({"neuron": np.arange(d), **shares})


def strongest_first(means: pd.DataFrame, first: str, most: int = 3000) -> pd.DataFrame:
    """Rows of `mean_activations` by the mean on the set `first`, the largest on top.

    Of more than `most` neurons, rows at evenly spaced places are kept.
    """
    ordered = means.sort_values(first, ascending=False, kind="stable").reset_index(drop=True)
    if len(ordered) <= most:
        return ordered
    return ordered.iloc[np.linspace(0, len(ordered) - 1, most).astype(int)]


def neuron_column(acts: Activations, neuron: int) -> np.ndarray:
    """Activation of one penultimate neuron on every image, shape (n,), float64."""
    _check_neuron(neuron, acts.features.shape[1])
    return np.asarray(acts.features[:, neuron], np.float64)


@dataclass(frozen=True, eq=False)
class NeuronDrill:
    """One neuron looked at closely.

    Attributes
    ----------
    neuron : its number.
    by_class : columns `class, contribution, weight, mean_activation`, one row per class:
        `contribution = weight * mean_activation` over the fit set's images of the class. No rows
        where there are no classes.
    histogram : columns `set, left, right, count, share` of its activation; shared bins.
    summary : columns `set, n, mean, sd, active, above_clip`; the last two are shares of images.
    """

    neuron: int
    by_class: pd.DataFrame
    histogram: pd.DataFrame
    summary: pd.DataFrame


def drill(
    acts: Mapping[str, Activations],
    sets: Sequence[str],
    contributions: np.ndarray,
    class_means: np.ndarray,
    head: ClassifierHead,
    neuron: int,
    clip: float,
    bins: int = 50,
) -> NeuronDrill:
    """Contribution by class and activation by set of one penultimate neuron.

    Parameters
    ----------
    acts, sets : activations by name, and the sets to compare.
    contributions, class_means : (c, d) over the fit set, as `LineLab` holds them.
    head : the classifier's head.
    neuron : its number, 0 to d − 1.
    clip : LINe's clipping value δ; `above_clip` counts images above it.
    bins : bins of the histogram; every image is counted.

    Raises
    ------
    DataError
        When the neuron does not exist.
    """
    _check_neuron(neuron, head.n_features)
    by_class = pd.DataFrame(
        {
            "class": list(head.names),
            "contribution": contributions[:, neuron],
            "weight": head.weight[:, neuron],
            "mean_activation": class_means[:, neuron],
        }
    )
    return replace(activity(acts, sets, neuron, clip, bins), by_class=by_class)


def activity(
    acts: Mapping[str, Activations],
    sets: Sequence[str],
    neuron: int,
    clip: float = np.inf,
    bins: int = 50,
) -> NeuronDrill:
    """Activation by set of one penultimate neuron, which needs neither a head nor labels.

    Raises
    ------
    DataError
        When the neuron does not exist.
    """
    columns = {name: neuron_column(acts[name], neuron) for name in sets}
    ends = [end for a in columns.values() for end in (a.min(), a.max())]
    edges = np.histogram_bin_edges(ends, bins)
    parts, rows = [], []
    for name, a in columns.items():
        count, _ = np.histogram(a, edges)
        part = pd.DataFrame({"set": name, "left": edges[:-1], "right": edges[1:], "count": count})
        parts.append(part.assign(share=count / len(a)))
        active, above = float((a > 0).mean()), float((a > clip).mean())
        rows.append((name, len(a), float(a.mean()), float(a.std()), active, above))
    summary = pd.DataFrame(rows, columns=["set", "n", "mean", "sd", "active", "above_clip"])
    none = pd.DataFrame(columns=["class", "contribution", "weight", "mean_activation"])
    return NeuronDrill(neuron, none, pd.concat(parts, ignore_index=True), summary)


def top_images(
    acts: Mapping[str, Activations], sets: Sequence[str], neuron: int, k: int = 8
) -> pd.DataFrame:
    """Images that excite a neuron most: columns `set, index, id, activation`, k rows per set.

    Strongest first; of equal activations the first image comes first.
    """
    frames = []
    for name in sets:
        a = neuron_column(acts[name], neuron)
        best = np.argsort(-a, kind="stable")[:k]
        ids = [in_utf8(acts[name].ids[i]) for i in best]
        frames.append(pd.DataFrame({"set": name, "index": best, "id": ids, "activation": a[best]}))
    return pd.concat(frames, ignore_index=True)


def _mean(features: np.ndarray, active: bool = False) -> np.ndarray:
    """Mean of each column, or the share of its rows above 0."""
    total = np.zeros(features.shape[1])
    for start in range(0, len(features), _CHUNK):
        part = features[start : start + _CHUNK]
        total += np.asarray(part > 0 if active else part, np.float64).sum(0)
    return total / max(len(features), 1)


def _check_neuron(neuron: int, d: int) -> None:
    if not 0 <= neuron < d:
        raise DataError(f"neuron {neuron} does not exist: the layer has neurons 0 to {d - 1}.")
