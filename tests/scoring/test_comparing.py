"""Leaderboard, sweeps, disagreement, published tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ood_core import papers, scoring
from ood_core.errors import ConfigError
from ood_core.plots.sweeps import score_scatter, sweep_curve, sweep_heatmap
from ood_core.scoring import sweeps
from ood_core.scoring.disagreement import GROUPS, disagreement
from ood_core.scoring.leaderboard import METRICS, leaderboard, of_metric, ties


@pytest.fixture
def score_sets(acts_set):
    return [scoring.score(acts_set, n) for n in ("negative_aware_norm", "feature_norm", "energy")]


@pytest.mark.parametrize("metric", list(METRICS))
def test_board_holds_the_metric_of_every_set(score_sets, metric: str) -> None:
    table = of_metric(leaderboard(score_sets, ("near",), (metric,), intervals=True), metric)
    assert table.columns.is_unique
    assert set(table["detector"]) == {"negative_aware_norm", "feature_norm", "energy"}
    for scores in score_sets:
        row = table.set_index("detector").loc[scores.detector]
        values = [100 * getattr(scores.evaluate(n), metric) for n in ("near", "far")]
        np.testing.assert_allclose([row["near"], row["far"]], values)
        assert list(row[["near-OOD", "far-OOD"]]) == values  # one set each
        assert row["mean"] == pytest.approx(np.mean(values))
    higher = METRICS[metric].higher
    assert (
        table["mean"].is_monotonic_decreasing if higher else table["mean"].is_monotonic_increasing
    )


def test_ties_lie_in_the_best_ones_interval() -> None:
    table = pd.DataFrame(
        {"x": [90.0, 88.5, 80.0], "x (low)": [88.0, 86, 77], "x (high)": [92.0, 90, 83]}
    )
    assert list(ties(table, "x", "auroc")) == ["best", "tie", ""]
    assert list(ties(table, "x", "fpr95")) == ["", "", "best"]
    assert list(ties(table[["x"]], "x", "aupr_in")) == ["best", "", ""]


def test_unknown_metric(score_sets) -> None:
    with pytest.raises(ConfigError, match=r"unknown metric 'auc'\. Did you mean 'auroc'"):
        leaderboard(score_sets, metrics=("auc",))


def test_sweep_equals_single_scores(acts_set) -> None:
    seen = []
    table = sweeps.sweep(
        acts_set, "line", {"p_a": (10, 90), "clip": (0.5, 1.0)}, {"p_w": 50},
        progress=seen.append,
    )  # fmt: skip
    assert len(table) == 4
    assert seen[-1].done == 4
    for row in table.itertuples():
        own = scoring.score(acts_set, "line", {"p_w": 50, "p_a": row.p_a, "clip": row.clip})
        expected = np.mean([own.evaluate(n).auroc for n in own.ood])
        assert row.auroc == pytest.approx(expected)
        assert row.error == ""


def test_a_setting_that_cannot_run_says_why(acts_set) -> None:
    table = sweeps.sweep(acts_set, "vim", {"dim": (2, 8)})
    assert np.isfinite(table["auroc"][0])
    assert np.isnan(table["auroc"][1])
    assert "dim" in table["error"][1]


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({}, "one to three parameters, got 0"),
        ({"p": ()}, "gives no values for 'p'"),
        ({"q": (1,)}, "has no parameter 'q'"),
    ],
)
def test_bad_sweeps_are_told(acts_set, over, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sweeps.sweep(acts_set, "dice", over)


def test_every_detector_worth_sweeping_names_real_parameters() -> None:
    for name in ("line", "react", "knn", "vim", "dice", "ash_s"):
        assert sweeps.axes(name), name


def test_disagreement_counts_by_hand(score_sets) -> None:
    a, b = score_sets[0], score_sets[2]
    found = disagreement(a, b, tpr=0.8)
    assert int(found.counts.to_numpy().sum()) == len(found.rows) == 90 + 70 + 50
    for name, own in (("near", "near"), ("far", "far")):
        accept_a, accept_b = a.ood[own] >= found.threshold_a, b.ood[own] >= found.threshold_b
        assert found.counts.at[name, "both_accept"] == (accept_a & accept_b).sum()
        assert found.counts.at[name, "a_only"] == (accept_a & ~accept_b).sum()
        assert found.counts.at[name, "b_only"] == (~accept_a & accept_b).sum()
    for group in GROUPS:
        rows = found.group(group)
        assert rows["gap"].is_monotonic_decreasing
        assert len(rows) == found.counts[group].sum()
    from scipy.stats import spearmanr

    expected = spearmanr(found.rows["a"], found.rows["b"]).statistic
    assert found.correlation == pytest.approx(expected)


def test_disagreement_needs_the_same_sets(acts_set, score_sets) -> None:
    other = scoring.score(acts_set, "negative_aware_norm", ood_sets=("near",))
    with pytest.raises(ConfigError, match="scored on different sets"):
        disagreement(score_sets[0], other)
    with pytest.raises(ConfigError, match="unknown group 'both'"):
        disagreement(score_sets[0], score_sets[1]).group("both")


def test_figures_have_titles_and_bounded_size(acts_set, score_sets) -> None:
    one = sweeps.sweep(acts_set, "knn", {"k": (1, 5)})
    two = sweeps.sweep(acts_set, "line", {"p_a": (10, 90), "p_w": (10, 90)})
    scatter = score_scatter(disagreement(*score_sets[:2]), ("NAN", "Norm"), "test", ("near", "far"))
    for figure in (
        sweep_curve(one, "k", "auroc", "t"),
        sweep_heatmap(two, ("p_a", "p_w"), "fpr95", "t"),
        scatter,
    ):
        assert figure.layout.xaxis.title.text
        assert figure.layout.yaxis.title.text
        assert len(figure.to_json()) < 250_000


def test_published_tables_are_as_printed() -> None:
    for table in papers.TABLES:
        frame = papers.read(table)
        assert len(frame) > 0
        assert "method" in frame
    nan = papers.read(papers.TABLES[1]).set_index(["labels", "method"])
    assert nan.at[("supervised", "NAN"), "Avg_AUROC"] == 92.32
    assert not papers.matching("digits")
    assert papers.TABLES[3] in papers.matching("cifar10-resnet18")


def test_a_clicked_cell_is_a_setting_in_its_own_types(acts_set) -> None:
    table = sweeps.sweep(acts_set, "line", {"p_a": (10, 90), "clip": (0.5, 1.0)})
    assert sweeps.setting(table, ["p_a", "clip"], ["90", "0.5"]) == {"p_a": 90, "clip": 0.5}
    with pytest.raises(ConfigError, match="the sweep has no p_a = 11; it has 10, 90"):
        sweeps.setting(table, ["p_a"], ["11"])


def test_parameters_survive_their_text() -> None:
    from ood_core.scoring.params import params_from, params_text

    params = {"k": 10, "clip": 1.5, "layer": None, "contrib": "abs", "squared": True}
    assert params_from(params_text(params)) == params
    with pytest.raises(ConfigError, match="must read name=value"):
        params_from("k:10")
    with pytest.raises(ConfigError, match="'k' is given twice in 'k=1;k=2'"):
        params_from("k=1;k=2")
