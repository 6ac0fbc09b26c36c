"""Two-dimensional views of penultimate features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ood_core.errors import ConfigError, DataError, did_you_mean
from ood_core.runtime.threads import one_blas_thread

__all__ = ["METHODS", "gather", "pca", "project", "subsample"]

METHODS = ("pca", "tsne", "umap")


def pca(reference: np.ndarray, others: Sequence[np.ndarray] = ()) -> tuple[list[np.ndarray], float]:
    """Project on the two directions of largest variance of the reference rows.

    Equation: `x = (h − μ) V`, V the first two eigenvectors of the reference's covariance. Signs
    are fixed so that the largest loading of each direction is positive: two runs give one picture.

    Parameters
    ----------
    reference : (n, d) features that define mean and directions (the ID test set).
    others : further (m, d) arrays projected on the same directions.

    Returns
    -------
    coordinates : one (rows, 2) float64 array per input, the reference first.
    explained : share of the reference's variance that the two directions hold, 0 to 1.

    Raises
    ------
    DataError
        With fewer than three reference rows or fewer than two features.
    """
    if reference.shape[0] < 3 or reference.shape[1] < 2:
        raise DataError(
            f"a map needs at least 3 images and 2 features, got {reference.shape[0]} x "
            f"{reference.shape[1]}."
        )
    wide = np.asarray(reference, np.float64)
    mean = wide.mean(0)
    values, vectors = np.linalg.eigh((wide - mean).T @ (wide - mean) / len(wide))
    axes = vectors[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), [0, 1]])
    total = float(np.clip(values, 0, None).sum())
    explained = float(np.clip(values[-2:], 0, None).sum() / total) if total > 0 else 0.0
    return [(np.asarray(a, np.float64) - mean) @ axes for a in (reference, *others)], explained


def project(
    features: Mapping[str, np.ndarray], method: str = "pca", *, limit: int = 5000, seed: int = 0
) -> pd.DataFrame:
    """Coordinates of every set's features in one plane.

    Parameters
    ----------
    features : set name -> (n, d); the first set defines the PCA directions.
    method : "pca" (every row), or "tsne" / "umap" (at most `limit` rows in all, evenly over each
        set; distances between far groups mean little in these two).
    limit : most rows that t-SNE or UMAP gets.
    seed : fixes the random start of t-SNE and UMAP.

    Returns
    -------
    DataFrame with columns `set`, `index` (row in its set), `x`, `y`; `.attrs["explained"]` is the
    share of variance for PCA.

    Raises
    ------
    ConfigError
        On an unknown method, or for UMAP where umap-learn is not installed.
    """
    if method not in METHODS:
        raise ConfigError(f"unknown map method {method!r}. {did_you_mean(method, METHODS)}")
    names = list(features)
    if method == "pca":
        first, *rest = names
        coordinates, explained = pca(features[first], [features[n] for n in rest])
        rows = {n: np.arange(len(features[n])) for n in names}
        return _frame(names, rows, coordinates, explained)
    share = min(1.0, limit / max(1, sum(len(f) for f in features.values())))
    rows = {n: subsample(len(features[n]), int(np.ceil(share * len(features[n])))) for n in names}
    stacked = np.concatenate([np.asarray(features[n][rows[n]], np.float32) for n in names])
    plane = _tsne(stacked, seed) if method == "tsne" else _umap(stacked, seed)
    ends = np.cumsum([len(rows[n]) for n in names])[:-1]
    return _frame(names, rows, np.split(plane, ends), None)


def _frame(
    names: Sequence[str],
    rows: Mapping[str, np.ndarray],
    coordinates: Sequence[np.ndarray],
    explained: float | None,
) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"set": n, "index": rows[n], "x": c[:, 0], "y": c[:, 1]})
        for n, c in zip(names, coordinates, strict=True)
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame.attrs["explained"] = explained
    return frame


def _tsne(x: np.ndarray, seed: int) -> np.ndarray:
    import torch  # noqa: F401 - whole before scikit-learn's SciPy looks into it
    from sklearn.manifold import TSNE

    perplexity = float(min(30, max(2, (len(x) - 1) // 3)))
    with one_blas_thread():  # scikit-learn's own threads must not start those of matrix products
        tsne = TSNE(init="pca", perplexity=perplexity, random_state=seed)
        return np.asarray(tsne.fit_transform(x))


def _umap(x: np.ndarray, seed: int) -> np.ndarray:
    try:
        import umap
    except ImportError:
        raise ConfigError(
            "the UMAP map needs the optional package umap-learn: pip install umap-learn. "
            "PCA and t-SNE work without it."
        ) from None
    return np.asarray(umap.UMAP(n_neighbors=15, random_state=seed).fit_transform(x))


def subsample(n: int, most: int) -> np.ndarray:
    """Row numbers of at most `most` of n rows, evenly spaced and the same every time.

    Examples
    --------
    >>> subsample(9, 3).tolist(), subsample(2, 3).tolist()
    ([0, 4, 8], [0, 1])
    """
    if most >= n:
        return np.arange(n)
    return np.unique(np.linspace(0, n - 1, max(1, most)).round().astype(np.int64))


def gather(frame: pd.DataFrame, values: Mapping[str, np.ndarray]) -> pd.Series:
    """Value of each point of a map from one array per set.

    Parameters
    ----------
    frame : columns `set` and `index`.
    values : set name -> (n,) values in the order of the set's images.

    Returns
    -------
    Series with the frame's index.
    """
    parts = [
        pd.Series(np.asarray(values[str(name)])[group["index"].to_numpy()], index=group.index)
        for name, group in frame.groupby("set", sort=False, observed=True)
    ]
    return pd.concat(parts).loc[frame.index]
