from __future__ import annotations

import math

import pytest

from ood_core import scoring
from ood_core.scoring.two_experiments import different_params, side_by_side


def test_rows_are_both_experiments_figures(acts_set) -> None:
    a = [scoring.score(acts_set, n) for n in ("negative_aware_norm", "energy")]
    b = [scoring.score(acts_set, n, ood_sets=("far",)) for n in ("energy", "msp")]
    table = side_by_side(a, b).set_index("ood_set")
    assert set(table["detector"]) == {"energy"}
    assert list(table.index) == ["near", "far"]
    expected = 100 * a[1].evaluate("far").auroc
    assert table.at["far", "auroc_a"] == table.at["far", "auroc_b"] == pytest.approx(expected)
    assert table.at["far", "auroc_difference"] == 0
    assert table.at["far", "apart"] is False or not table.at["far", "apart"]
    assert math.isnan(table.at["near", "auroc_b"])
    assert math.isnan(table.at["near", "fpr95_difference"])


def test_intervals_that_do_not_overlap_are_apart(acts_set) -> None:
    good, bad = scoring.score(acts_set, "negative_aware_norm"), scoring.score(acts_set, "sparsity")
    object.__setattr__(bad, "detector", "negative_aware_norm")
    row = side_by_side([bad], [good]).set_index("ood_set").loc["far"]
    apart = bad.evaluate("far").auroc_high < good.evaluate("far").auroc_low
    assert bool(row["apart"]) == apart
    assert row["auroc_difference"] == pytest.approx(row["auroc_b"] - row["auroc_a"])


def test_other_parameters_are_told(acts_set) -> None:
    a, b = scoring.score(acts_set, "knn", {"k": 3}), scoring.score(acts_set, "knn", {"k": 5})
    assert different_params(a, b) == ("k = 3", "k = 5")
    assert different_params(a, a) is None
