"""Separation over depth and NAN taken apart, against slow oracles."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.errors import ConfigError, DataError
from ood_core.layers import (
    LAYER_SCORES,
    best_layers,
    layer_metrics,
    mean_over_sets,
    nan_apart,
    quantities,
)


def _acts(n: int, shift: float, seed: int) -> Activations:
    rng = np.random.default_rng(seed)
    deep = np.maximum(rng.normal(shift, 1, size=(n, 12)), 0)
    return Activations.from_arrays(deep, layers={"block1": rng.normal(size=(n, 6)), "block2": deep})


ACTS = {"test": _acts(60, 0.6, 0), "near": _acts(40, 0.3, 1), "far": _acts(30, -0.5, 2)}


def _slow_auroc(a: np.ndarray, b: np.ndarray) -> float:
    return sum((x > y) + 0.5 * (x == y) for x in a for y in b) / (len(a) * len(b))


def _slow_fpr95(a: np.ndarray, b: np.ndarray) -> float:
    threshold = sorted(a, reverse=True)[-(-95 * len(a) // 100) - 1]
    return sum(y >= threshold for y in b) / len(b)


def test_layer_metrics_equal_pair_counting() -> None:
    frame = layer_metrics(ACTS, "test", ["near", "far"])
    assert len(frame) == 3 * 2 * 4
    assert frame["layer"].unique().tolist() == ["block1", "block2", "penultimate"]
    for row in frame.itertuples():
        a = quantities(ACTS["test"].layer(row.layer)).score(row.score)
        b = quantities(ACTS[row.ood_set].layer(row.layer)).score(row.score)
        np.testing.assert_allclose(row.auroc, _slow_auroc(a, b), atol=1e-12)
        np.testing.assert_allclose(row.fpr95, _slow_fpr95(a, b), atol=1e-12)


def test_layer_metrics_equal_the_detectors() -> None:
    from ood_core.detectors import make_detector

    frame = layer_metrics(ACTS, "test", ["far"], layers=["block2"]).set_index("score")
    for name, params in {
        "l1": ("feature_norm", {"p": 1}),
        "l2": ("feature_norm", {"p": 2}),
        "negative_aware_norm": ("negative_aware_norm", {}),
        "sparsity": ("sparsity", {}),
    }.items():
        detector = make_detector(params[0], layer="block2", **params[1]).fit(ACTS["test"])
        a, b = (detector.score_samples(ACTS[s]) for s in ("test", "far"))
        np.testing.assert_allclose(frame.loc[name, "auroc"], _slow_auroc(a, b), atol=1e-12)


def test_mean_over_sets_is_unweighted() -> None:
    frame = layer_metrics(ACTS, "test", ["near", "far"])
    mean = mean_over_sets(frame)
    assert list(mean.columns) == list(frame.columns)
    assert set(mean["ood_set"]) == {"mean"}
    for row in mean.itertuples():
        rows = frame[(frame["layer"] == row.layer) & (frame["score"] == row.score)]
        np.testing.assert_allclose(row.auroc, sum(rows["auroc"]) / 2)
        np.testing.assert_allclose(row.fpr95, sum(rows["fpr95"]) / 2)


@pytest.mark.parametrize("metric", ["auroc", "fpr95"])
def test_best_layers_says_where_nan_beats_the_norm(metric: str) -> None:
    mean = mean_over_sets(layer_metrics(ACTS, "test", ["near", "far"]))
    summary = best_layers(mean, metric)
    value = {(r.layer, r.score): getattr(r, metric) for r in mean.itertuples()}
    layers = list(dict.fromkeys(mean["layer"]))
    sign = 1 if metric == "auroc" else -1
    assert summary.nan_wins == tuple(
        m for m in layers if sign * (value[m, "negative_aware_norm"] - value[m, "l1"]) > 0
    )
    for score in LAYER_SCORES:
        best = max(layers, key=lambda m: sign * value[m, score])
        assert summary.best[score] == (best, pytest.approx(value[best, score]))
    _, gain = summary.largest_gain
    assert gain == pytest.approx(
        max(sign * (value[m, "negative_aware_norm"] - value[m, "l1"]) for m in layers)
    )
    assert summary.n_layers == 3


def test_errors_say_what_to_choose() -> None:
    with pytest.raises(DataError, match="choose at least one OOD set"):
        layer_metrics(ACTS, "test", [])
    with pytest.raises(DataError, match=r"unknown data set 'fur'\. Available: far, near, test"):
        layer_metrics(ACTS, "test", ["fur"])
    with pytest.raises(ConfigError, match="unknown pool"):
        layer_metrics(ACTS, "test", ["far"], pool="max")
    with pytest.raises(DataError, match="rows of one OOD set"):
        best_layers(layer_metrics(ACTS, "test", ["near", "far"]))
    with pytest.raises(DataError, match="choose at least one OOD set"):
        nan_apart(ACTS, "test", [])
    with pytest.raises(DataError, match="unknown layer 'block9'"):
        nan_apart(ACTS, "test", ["far"], layer="block9")


def test_progress_is_told_per_layer() -> None:
    seen: list[tuple[int, int]] = []
    layer_metrics(ACTS, "test", ["far"], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_nan_apart_counts_every_image_and_draws_few() -> None:
    apart = nan_apart(ACTS, "test", ["near", "far"], max_points=60, bins=8)
    for name, acts in ACTS.items():
        q = quantities(acts.layer())
        rows = apart.points[apart.points["set"] == name]
        assert len(rows) == min(20, len(acts))
        np.testing.assert_allclose(rows["l1"], q.l1[rows["index"]])
        np.testing.assert_allclose(
            rows["negative_aware_norm"], q.negative_aware_norm[rows["index"]]
        )
        assert (rows["active"].to_numpy() == q.l0[rows["index"]]).all()
        assert apart.totals[name] == len(acts) == apart.density[name].sum()
        for axis, values in (("active", q.l0), ("l1", q.l1)):
            chosen = (apart.marginals["set"] == name) & (apart.marginals["axis"] == axis)
            bins = apart.marginals[chosen]
            assert bins["count"].sum() == len(acts)
            assert len(bins) <= 11  # at most one outer bin at either end
            last = bins["right"].max()
            for b in bins.itertuples():
                inside = [b.left <= v < b.right or v == last == b.right for v in values]
                assert b.count == sum(inside)
    np.testing.assert_array_equal(apart.density["far"].sum(1), np.histogram(
        quantities(ACTS["far"].layer()).l1, apart.l1_edges)[0])  # fmt: skip


def test_ranges_hold_99_percent_of_every_set() -> None:
    far = np.repeat(np.array(ACTS["far"].features), 10, axis=0)
    far[0] *= 1000
    acts = {**ACTS, "far": Activations.from_arrays(far)}
    apart = nan_apart(acts, "test", ["near", "far"])
    for name in acts:
        q = quantities(acts[name].layer())
        for (low, high), values in ((apart.l1_range, q.l1), (apart.active_range, q.l0)):
            assert np.mean((values >= low) & (values <= high)) >= 0.97
    assert apart.l1_range[1] < quantities(acts["far"].layer()).l1.max() / 100
    assert apart.density["far"].sum() == len(far)


def test_nan_apart_cuts_accept_95_percent_of_id() -> None:
    apart = nan_apart(ACTS, "test", ["far"])
    q = quantities(ACTS["test"].layer())
    for name, threshold in apart.thresholds.items():
        assert (q.score(name) >= threshold).mean() >= 0.95
        assert (q.score(name) > threshold).mean() < 0.95
    np.testing.assert_allclose(apart.iso, np.quantile(q.negative_aware_norm, [0.05, 0.5, 0.95]))
    far = quantities(ACTS["far"].layer())
    row = apart.auroc.iloc[0]
    for name in ("l1", "sparsity", "negative_aware_norm"):
        np.testing.assert_allclose(row[name], _slow_auroc(q.score(name), far.score(name)))
