"""Rows of the lab's tables that a figure or a claim is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ood_core.theory.lab import SCHEMES, LabResults
from ood_core.theory.lab.plan import DEPTH, EPOCHS
from ood_core.theory.lab.vectors import OOD_SETS

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "depth_rows",
    "entropy_points",
    "hidden_rows",
    "nan_rows",
    "norm_rows",
    "one_class_points",
    "ood_names",
    "scheme_rows",
    "scheme_titles",
    "separation",
    "width_points",
]


def scheme_titles() -> dict[str, str]:
    """Scheme -> title, in the order of the plan."""
    return {name: scheme.title for name, scheme in SCHEMES.items()}


def ood_names(against: str | None) -> list[str]:
    """The OOD set alone, or all of the lab's for None."""
    return list(OOD_SETS) if against is None else [against]


def separation(
    results: LabResults,
    scheme: str = "supervised",
    *,
    score: str = "norm",
    fold: str = "test",
    layer: int = DEPTH,
    epoch: int = EPOCHS,
    against: str | None = None,
) -> pd.Series:
    """AUROC of each seed's network in the comparison of schemes, indexed by seed.

    Parameters
    ----------
    against : the OOD set; the mean over all for None.
    """
    rows = results.schemes()
    rows = rows[
        (rows["scheme"] == scheme)
        & (rows["score"] == score)
        & (rows["fold"] == fold)
        & (rows["layer"] == layer)
        & (rows["epoch"] == epoch)
        & rows["ood_set"].isin(ood_names(against))
    ]
    return rows.groupby("seed")["auroc"].mean()


def hidden_rows(results: LabResults, against: str | None = None) -> pd.DataFrame:
    """Hidden classifiers of the supervised networks, by layer, for ID test and OOD sets."""
    rows = results.schemes("hidden")
    return rows[(rows["scheme"] == "supervised") & rows["set"].isin(["test", *ood_names(against)])]


def norm_rows(results: LabResults, against: str | None = None) -> pd.DataFrame:
    """Mean norms of the supervised networks' last hidden layer over epochs."""
    rows = results.schemes("sets")
    return rows[
        (rows["scheme"] == "supervised")
        & (rows["layer"] == DEPTH)
        & rows["set"].isin(["fit", "test", *ood_names(against)])
    ]


def scheme_rows(
    results: LabResults, against: str | None = None, score: str = "norm"
) -> pd.DataFrame:
    """AUROC of a score in the last hidden layer over epochs, for every scheme and fold."""
    rows = results.schemes()
    return rows[
        (rows["layer"] == DEPTH)
        & (rows["score"] == score)
        & rows["ood_set"].isin(ood_names(against))
    ]


def entropy_points(results: LabResults, against: str | None = None) -> pd.DataFrame:
    """One row per network and snapshot: activation entropy of ID test images, AUROC of the norm."""
    keys = ["run", "scheme", "seed", "epoch"]
    rows = scheme_rows(results, against)
    separated = rows[rows["fold"] == "test"].groupby(keys)["auroc"].mean().reset_index()
    sets = results.schemes("sets")
    sets = sets[(sets["layer"] == DEPTH) & (sets["set"] == "test")]
    return separated.merge(sets[[*keys, "activation_entropy", "active_share"]], on=keys)


def nan_rows(results: LabResults) -> pd.DataFrame:
    """AUROC of norm, sparsity and NAN of the trained supervised networks, new images."""
    return _finished(results, DEPTH)


def depth_rows(
    results: LabResults, against: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """AUROC by layer of the trained supervised networks, and the share of units that are on.

    The second frame has a column `group`, "ID" or "OOD".
    """
    rows = _finished(results)
    names = ood_names(against)
    sets = results.schemes("sets")
    trained = (sets["scheme"] == "supervised") & (sets["epoch"] == EPOCHS)
    sets = sets[trained & sets["set"].isin(["test", *names])]
    shares = sets.assign(group=np.where(sets["set"] == "test", "ID", "OOD"))
    return rows[rows["ood_set"].isin(names)], shares


def width_points(results: LabResults, against: str | None = None) -> pd.DataFrame:
    """AUROC by width and seed of the supervised networks, new images: width, seed, score, auroc."""
    rows = results.separation
    chosen = (
        (rows["scheme"] == "supervised")
        & rows["only_class"].isna()
        & (rows["fold"] == "test")
        & (rows["layer"] == DEPTH)
        & (rows["epoch"] == EPOCHS)
        & rows["ood_set"].isin(ood_names(against))
    )
    return rows[chosen].groupby(["width", "seed", "score"])["auroc"].mean().reset_index()


def one_class_points(results: LabResults) -> pd.DataFrame:
    """AUROC of each one-class network on new images: only_class, seed, score, auroc."""
    rows = results.separation
    chosen = rows["only_class"].notna() & (rows["fold"] == "test") & (rows["layer"] == DEPTH)
    return rows[chosen].filter(["only_class", "seed", "score", "auroc"])


def _finished(results: LabResults, layer: int | None = None) -> pd.DataFrame:
    rows = results.schemes()
    chosen = (rows["scheme"] == "supervised") & (rows["fold"] == "test") & (rows["epoch"] == EPOCHS)
    if layer is not None:
        chosen &= rows["layer"] == layer
    return rows[chosen]
