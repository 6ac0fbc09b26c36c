"""ROC and PR figures: exact vertices, the operating point on its curve, bounded payload."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core import metrics, thresholds
from ood_core.errors import ConfigError
from ood_core.metrics.counts import summarize
from ood_core.plots.roc import pr, roc

RNG = np.random.default_rng(0)
KNOWN = summarize(RNG.normal(2, 1, 5_000))
OOD = {"near": summarize(RNG.normal(1, 1, 4_000)), "far": summarize(RNG.normal(0, 1, 1_000))}
POINT = thresholds.at_tpr(KNOWN, OOD, 0.95)


def test_roc_has_a_curve_per_set_and_the_operating_point():
    figure = roc(KNOWN, OOD, point=POINT, colours={"far": "#123456"})
    _, near, far, points = figure.data
    assert near.name == f"near {100 * metrics.auroc(KNOWN, OOD['near']):.2f}"
    assert far.line.color == "#123456"
    assert len(near.x) <= 400
    assert list(points.x) == [100 * metrics.fpr_at_tpr(KNOWN, s) for s in OOD.values()]
    assert list(points.y) == [95.0, 95.0]
    assert "FPR" in figure.layout.xaxis.title.text
    assert len(figure.to_json()) < 100_000


@pytest.mark.parametrize("positive", ["id", "ood"])
def test_pr_point_lies_on_the_exact_curve(positive):
    figure = pr(KNOWN, OOD, point=POINT, positive=positive)
    near, _, points = figure.data
    exact = metrics.pr_curve(KNOWN, OOD["near"], 100_000, positive)
    gap = np.abs(100 * exact.recall - points.x[0]) + np.abs(100 * exact.precision - points.y[0])
    assert gap.min() < 0.05
    area = metrics.aupr_in if positive == "id" else metrics.aupr_out
    assert near.name == f"near {100 * area(KNOWN, OOD['near']):.2f}"


def test_pr_leaves_out_a_point_where_nothing_is_accepted():
    nothing = thresholds.at_threshold(KNOWN, OOD, np.inf)
    assert pr(KNOWN, OOD, point=nothing).data[-1].x == ()


def test_pr_positive_is_checked():
    with pytest.raises(ConfigError, match="positive must be"):
        pr(KNOWN, OOD, positive="x")
