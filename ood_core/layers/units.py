"""Which units of a layer are active: how many per image, and how evenly each over the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ood_core.activations import Activations, LayerRecord
from ood_core.detectors.negative_aware_norm import DEGENERATE_VARIATION
from ood_core.errors import DataError
from ood_core.layers.quantities import check_pool, quantities

__all__ = [
    "ActiveUnits",
    "activation_entropy",
    "active_units",
    "entropy_by_layer",
    "entropy_table",
    "neuron_entropy",
]


@dataclass(frozen=True, eq=False)
class ActiveUnits:
    """Distribution of the number of active units at one layer.

    Attributes
    ----------
    histogram : columns `set, left, right, count, share`: `left <= number of active units < right`,
        `share` of the set's images. Bins hold whole numbers, all sets share them.
    summary : per set `set, n, mean, sd, variation, none_active`; `variation` = sd / mean.
    n_units : units that could be active.
    steady : whether the number hardly varies over ID images, so that NAN ranks like L1.
    """

    histogram: pd.DataFrame
    summary: pd.DataFrame
    n_units: int
    steady: bool


def active_units(
    acts: Mapping[str, Activations],
    sets: Sequence[str],
    layer: str | None = None,
    pool: str = "gap",
    max_bins: int = 60,
) -> ActiveUnits:
    """Distribution of `‖a‖₀ = #{i : a_i > 0}` over the images of each set, ID set first.

    Parameters
    ----------
    acts, sets : activations by name, and the names to show; the first is the ID test set.
    layer, pool : which activation; `layer=None` is the penultimate layer.
    max_bins : most bins of the histogram; the count of a bin is exact.
    """
    if not sets:
        raise DataError("active_units needs at least one data set.")
    counts = {name: quantities(acts[name].layer(layer), pool) for name in sets}
    low = min(int(q.l0.min()) for q in counts.values())
    high = max(int(q.l0.max()) for q in counts.values())
    width = max(1, -(-(high - low + 1) // max_bins))
    edges = np.arange(low, high + width + 1, width)
    parts, summary = [], []
    for name, q in counts.items():
        count, _ = np.histogram(q.l0, edges)
        part = {"set": name, "left": edges[:-1], "right": edges[1:], "count": count}
        parts.append(pd.DataFrame(part).assign(share=count / len(q.l0)))
        mean, sd = float(q.l0.mean()), float(q.l0.std())
        none = int((q.l0 == 0).sum())
        variation = sd / mean if mean else 0.0
        summary.append((name, len(q.l0), mean, sd, variation, none))
    columns = ["set", "n", "mean", "sd", "variation", "none_active"]
    table = pd.DataFrame(summary, columns=columns)
    return ActiveUnits(
        histogram=pd.concat(parts, ignore_index=True),
        summary=table,
        n_units=counts[sets[0]].n_units,
        steady=bool(table["variation"].iloc[0] < DEGENERATE_VARIATION),
    )


def activation_entropy(p: np.ndarray) -> np.ndarray:
    """Entropy of being active, in nats, of units that are active with probability `p`.

        H_i = −p_i ln p_i − (1 − p_i) ln(1 − p_i),   0 ln 0 = 0

    Between 0 (always or never active) and ln 2 ≈ 0.693 (active on every second image).

    References
    ----------
    Park et al., ICCV 2023, arXiv 2310.05316, Eq. 7. The paper does not state the base of the
    logarithm; nats are used here.
    """
    p = np.asarray(p, np.float64)
    off = 1.0 - p
    terms = np.zeros_like(p)
    for q in (p, off):
        terms -= q * np.log(q, out=np.zeros_like(q), where=q > 0)
    return terms


def neuron_entropy(record: LayerRecord, pool: str = "gap") -> np.ndarray | None:
    """Activation entropy of each unit over the record's images, in nats.

    Returns
    -------
    array of shape (c,) for "gap", (c * positions,) for "flat"; None for "flat" where the counts
    per position were not recorded.
    """
    check_pool(pool)
    n = max(len(record), 1)
    if pool == "gap" or record.positions == 1:
        return activation_entropy((record.pooled > 0).sum(0) / n)
    if record.active_counts is None:
        return None
    return activation_entropy(np.asarray(record.active_counts) / n)


def entropy_table(entropies: Mapping[str, np.ndarray | None]) -> pd.DataFrame:
    """One row per unit: its number and its entropy in nats on each set for which it is known.

    Parameters
    ----------
    entropies : set name -> from `neuron_entropy`.
    """
    known = {name: values for name, values in entropies.items() if values is not None}
    return pd.DataFrame(known).rename_axis("unit").reset_index()


def entropy_by_layer(
    acts: Mapping[str, Activations], sets: Sequence[str], pools: Sequence[str] = ("gap", "flat")
) -> pd.DataFrame:
    """Mean activation entropy of each layer and set, in nats, pooled and flat.

    Returns
    -------
    data frame with columns `layer, depth, set, pool, entropy, n_units, n`; layers without counts
    per position have no "flat" row.
    """
    rows: list[dict[str, object]] = []
    for name in sets:
        for depth, (layer, record) in enumerate(acts[name].layers.items(), 1):
            for pool in pools:
                entropy = neuron_entropy(record, pool)
                if entropy is None:
                    continue
                row = {"layer": layer, "depth": depth, "set": name, "pool": pool}
                mean = float(entropy.mean())
                rows.append({**row, "entropy": mean, "n_units": len(entropy), "n": len(record)})
    return pd.DataFrame(rows)
