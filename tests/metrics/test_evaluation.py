"""Metrics against slow, obvious versions, scikit-learn and pytorch-ood, with and without ties."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from itertools import pairwise

import numpy as np
import pytest
from sklearn import metrics as sk

from ood_core import metrics
from ood_core.errors import ConfigError, DataError
from ood_core.metrics.counts import ceil_share, compare, floor_share, pool, summarize
from ood_core.metrics.curves import thin
from ood_core.metrics.evaluation import needed

CASES = range(40)


def make_case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random sizes, overlaps and amounts of ties; every fifth case has -inf."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 60, 2)
    a, b = rng.normal(rng.uniform(0, 2), 1, n), rng.normal(0, rng.uniform(0.3, 2), m)
    decimals = [0, 1, 12][seed % 3]
    a, b = np.round(a, decimals) + 0.0, np.round(b, decimals) + 0.0
    if seed % 5 == 0:
        a[rng.random(n) < 0.1] = -np.inf
        b[rng.random(m) < 0.3] = -np.inf
    return a, b


def labelled(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels (ID = 1) and finite scores in the same order: -inf below everything."""
    scores = np.concatenate([a, b])
    return np.r_[np.ones(len(a)), np.zeros(len(b))], np.maximum(scores, -1e6)


def slow_fpr(a: np.ndarray, b: np.ndarray, tpr: float) -> float:
    """Lowest FPR over all thresholds that accept at least tpr of ID."""
    return min(
        float(np.mean(b >= t))
        for t in np.unique(a)
        if np.sum(a >= t) * 1000 >= round(tpr * 1000) * len(a)
    )


@pytest.mark.parametrize("seed", CASES)
def test_auroc_equals_pairwise_count_and_sklearn(seed):
    a, b = make_case(seed)
    pairs = (a[:, None] > b).mean() + 0.5 * (a[:, None] == b).mean()
    np.testing.assert_allclose(metrics.auroc(a, b), pairs, atol=1e-14)
    np.testing.assert_allclose(metrics.auroc(a, b), sk.roc_auc_score(*labelled(a, b)), atol=1e-12)


@pytest.mark.parametrize("seed", CASES)
@pytest.mark.parametrize("tpr", [0.95, 0.8, 0.5, 1.0])
def test_fpr_at_tpr_equals_brute_force_and_first_roc_point(seed, tpr):
    a, b = make_case(seed)
    assert metrics.fpr_at_tpr(a, b, tpr) == slow_fpr(a, b, tpr)
    fprs, tprs, _ = sk.roc_curve(*labelled(a, b), drop_intermediate=False)
    np.testing.assert_allclose(metrics.fpr_at_tpr(a, b, tpr), fprs[np.argmax(tprs >= tpr - 1e-12)])


@pytest.mark.parametrize("seed", CASES)
def test_ood_positive_fpr_equals_pytorch_ood(seed):
    import torch
    from pytorch_ood.metrics.functional import fpr_at_tpr

    a, b = make_case(seed)
    labels, scores = labelled(a, b)
    expected = fpr_at_tpr(torch.tensor(-scores), torch.tensor(labels * 2 - 1).long(), 0.95)
    np.testing.assert_allclose(metrics.fpr_at_tpr_ood_positive(a, b), float(expected), atol=1e-12)


@pytest.mark.parametrize("seed", CASES)
def test_aupr_equals_sklearn(seed):
    a, b = make_case(seed)
    labels, scores = labelled(a, b)
    np.testing.assert_allclose(metrics.aupr_in(a, b), sk.average_precision_score(labels, scores))
    np.testing.assert_allclose(
        metrics.aupr_out(a, b), sk.average_precision_score(1 - labels, -scores)
    )


@pytest.mark.parametrize("seed", CASES)
def test_detection_error_equals_brute_force(seed):
    a, b = make_case(seed)
    cuts = [*np.unique(np.concatenate([a, b])), np.inf]
    slow = min(0.5 * (np.mean(a < t) + np.mean(b >= t)) for t in cuts)
    np.testing.assert_allclose(metrics.detection_error(a, b), slow, atol=1e-14)


def test_figures_of_the_specification():
    """A constant score is no perfect detector; saturation and ties count."""
    constant = np.ones(50)
    assert metrics.fpr_at_tpr(constant, constant) == 1.0
    assert metrics.auroc(constant, constant) == 0.5
    tail = np.concatenate([np.full(94, 5.0) + np.arange(94), np.full(6, -9.0)])
    middle = np.arange(100) / 100
    assert metrics.fpr_at_tpr(tail, middle) == 1.0
    assert metrics.fpr_at_tpr_ood_positive(tail, middle) == 0.06


def test_a_replaced_summary_is_compared_anew():
    a, b = summarize([1.0, 2.0, 3.0]), summarize([0.0, 2.5])
    assert compare(a, b).accepted_id.tolist() == [1, 1, 2, 3, 3]
    other = dataclasses.replace(a, values=a.values - 10)
    assert compare(other, b).accepted_id.tolist() == [0, 0, 1, 2, 3]


def test_a_share_that_came_from_a_count_gives_the_count_back():
    for n in range(1, 700):
        for k in range(n + 1):
            assert ceil_share(k / n, n) == floor_share(k / n, n) == k
    assert ceil_share(np.nextafter(0.5, 1) + 1e-9, 1_000_000) == 500_001  # more than rounding


def test_needed_is_the_integer_ceiling():
    for n in range(1, 3000):
        assert needed(0.95, n, "tpr") == (95 * n + 99) // 100
    assert needed(np.float64(0.9), 10, "tpr") == 9


@pytest.mark.parametrize("seed", CASES)
def test_delong_variance_equals_the_slow_definition(seed):
    rng = np.random.default_rng(seed)
    a, b = np.round(rng.normal(1, 1, 30), seed % 3), np.round(rng.normal(0, 1, 20), seed % 3)
    wins = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    area = wins.mean()
    variance = wins.mean(1).var(ddof=1) / 30 + wins.mean(0).var(ddof=1) / 20
    half = 1.959963984540054 * math.sqrt(variance) / (area * (1 - area))
    odds = math.log(area / (1 - area))
    expected = [1 / (1 + math.exp(-(odds - half))), 1 / (1 + math.exp(-(odds + half)))]
    np.testing.assert_allclose(metrics.auroc_interval(a, b), expected, rtol=1e-9)


def test_auroc_interval_at_the_ends_has_width():
    low, high = metrics.auroc_interval([1.0, 2.0] * 10, [0.0] * 50)
    assert high == 1.0
    assert low == pytest.approx(0.025 ** (1 / 20))
    assert metrics.auroc_interval([0.0] * 50, [1.0] * 10) == (0.0, pytest.approx(1 - 0.025**0.1))
    assert metrics.auroc_interval([1.0], [0.0, 2.0]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("n", "m", "shift", "decimals"),
    [
        (200, 150, 2.0, 12),
        (1000, 500, 3.0, 12),
        (60, 400, 1.0, 12),
        (500, 50, 2.0, 12),
        (300, 300, 2.0, 1),
    ],
)
def test_intervals_cover_the_truth(n, m, shift, decimals):
    """400 simulated data sets: at least 92.5 % of the 95 % intervals hold the true value, and
    they are not needlessly wide."""
    rng = np.random.default_rng(7)
    big_id, big_ood = (
        np.round(rng.normal(shift, 1, 400_000), decimals),
        np.round(rng.normal(0, 1, 400_000), decimals),
    )
    area, rate = metrics.auroc(big_id, big_ood), metrics.fpr_at_tpr(big_id, big_ood)
    hits = np.zeros(2)
    widths, rates = [], []
    for _ in range(400):
        a = np.round(rng.normal(shift, 1, n), decimals)
        b = np.round(rng.normal(0, 1, m), decimals)
        low, high = metrics.auroc_interval(a, b)
        hits[0] += low <= area <= high
        low, high = metrics.fpr_interval(a, b)
        hits[1] += low <= rate <= high
        widths.append(high - low)
        rates.append(metrics.fpr_at_tpr(a, b))
    assert (hits / 400 >= 0.925).all(), hits / 400
    assert np.mean(widths) < 1.5 * 3.92 * np.std(rates)


def test_fpr_interval_of_tiny_sets_is_honest():
    assert metrics.fpr_interval([1.0], [0.0]) == (0.0, 1.0)
    low, high = metrics.fpr_interval(np.arange(10.0), np.arange(-5.0, 0.0))
    assert low == 0.0
    assert high == 1.0


def test_evaluate_gathers_everything():
    a, b = make_case(1)
    e = metrics.evaluate(a, b)
    assert e.auroc == metrics.auroc(a, b)
    assert (e.auroc_low, e.auroc_high) == metrics.auroc_interval(a, b)
    assert (e.fpr95_low, e.fpr95_high) == metrics.fpr_interval(a, b)
    assert e.fpr95 == np.mean(b >= e.threshold)
    assert (e.n_id, e.n_ood) == (len(a), len(b))


def test_nan_is_an_error_that_counts_them():
    with pytest.raises(DataError, match=r"OOD scores hold 2 NaN of 3"):
        metrics.evaluate([1.0], [np.nan, 1.0, np.nan])
    with pytest.raises(DataError, match=r"ID scores are empty"):
        metrics.auroc([], [1.0])
    with pytest.raises(DataError, match=r"must have shape \(n,\), got \(2, 1\)"):
        metrics.auroc(np.ones((2, 1)), [1.0])


def test_bad_rates_are_errors():
    with pytest.raises(ConfigError, match=r"tpr must be in \(0, 1\], got 95"):
        metrics.fpr_at_tpr([1.0], [0.0], tpr=95)
    with pytest.raises(ConfigError, match=r"level must be in \(0, 1\), got 95"):
        metrics.auroc_interval([1.0], [0.0], level=95)
    with pytest.raises(ConfigError, match=r"positive must be 'id' or 'ood', got 'x'"):
        metrics.pr_curve([1.0], [0.0], positive="x")


def test_doubtful_scores_are_warned_about(caplog):
    with caplog.at_level(logging.WARNING):
        (constant,) = metrics.evaluate(np.ones(4), np.ones(3)).warnings
    assert "constant: all 7 images get 1" in constant
    assert constant in caplog.text
    tied, infinite = metrics.score_warnings([1.0, 2, 2, 3], [-np.inf, 0.0])
    assert "83.3 % of 6 scores are distinct" in tied
    assert "1 of 6 scores are -inf" in infinite
    assert metrics.score_warnings([1.0, 2.0], [3.0]) == ()


@pytest.mark.parametrize("seed", CASES)
def test_curves_unthinned_equal_sklearn(seed):
    a, b = make_case(seed)
    labels, scores = labelled(a, b)
    roc = metrics.roc_curve(a, b, max_points=10_000)
    fprs, tprs, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(np.interp(fprs, roc.fpr, roc.tpr) >= tprs - 1e-12, True)
    np.testing.assert_allclose(np.trapezoid(roc.tpr, roc.fpr), metrics.auroc(a, b))
    for positive, y, s in (("id", labels, scores), ("ood", 1 - labels, -scores)):
        pr = metrics.pr_curve(a, b, max_points=10_000, positive=positive)
        precision, recall, _ = sk.precision_recall_curve(y, s)
        points = {(round(r, 9), round(p, 9)) for r, p in zip(recall, precision, strict=True)}
        assert {
            (round(r, 9), round(p, 9)) for r, p in zip(pr.recall, pr.precision, strict=True)
        } <= points


def test_thinned_curve_keeps_exact_vertices_and_looks_the_same():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1.5, 1, 50_000), rng.normal(0, 1.3, 100_000)
    roc = metrics.roc_curve(a, b)
    assert len(roc.fpr) <= 400
    assert (roc.fpr[0], roc.tpr[0], roc.fpr[-1], roc.tpr[-1]) == (0, 0, 1, 1)
    exact = compare(a, b)
    for i in range(1, len(roc.fpr), 17):
        assert roc.fpr[i] == np.mean(b >= roc.thresholds[i])
        assert roc.tpr[i] == np.mean(a >= roc.thresholds[i])
    gap = np.abs(np.interp(exact.fpr, roc.fpr, roc.tpr) - exact.tpr)
    assert np.mean(gap) < 2e-4
    assert np.quantile(gap, 0.999) < 2e-3
    assert abs(np.trapezoid(roc.tpr, roc.fpr) - metrics.auroc(a, b)) < 1e-4


def test_thin_keeps_ends_and_asked_points_and_drops_collinear_ones():
    x = np.arange(10.0)
    assert thin(x, 2 * x, 5).tolist() == [0, 9]
    assert thin(x, 2 * x, 5, keep=[4]).tolist() == [0, 4, 9]
    assert thin(x, (x - 5) ** 2, 4).tolist()[0] == 0
    assert len(thin(x, (x - 5) ** 2, 4)) == 4


def test_thin_leaves_nothing_farther_than_the_tolerance_from_the_line():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 60)).cumsum(axis=1)  # goes back and forth: past the ends too
    kept = thin(x, y, tolerance=0.5)
    assert 2 < len(kept) < 60
    for first, last in pairwise(kept):
        a, b = np.array([x[first], y[first]]), np.array([x[last], y[last]])
        line = a + np.linspace(0, 1, 20_001)[:, None] * (b - a)
        for i in range(first, last):
            assert np.hypot(*(line - [x[i], y[i]]).T).min() <= 0.5 + 1e-3


def test_summary_counts():
    s = summarize([3.0, -np.inf, 1.0, 1.0])
    assert (len(s), s.n_minus_inf, s.n_distinct) == (4, 1, 3)
    assert s.finite.tolist() == [1, 1, 3]
    assert [s.accepted(t) for t in (-np.inf, 1.0, 1.1, 9.0)] == [4, 3, 1, 0]
    assert s.accepted_at(np.array([1.0, 9.0])).tolist() == [3, 0]
    assert s.percentile_of(np.array([1.0, 5.0])).tolist() == [75, 100]
    assert pool([s, summarize([2.0])]).values.tolist() == [-np.inf, 1, 1, 2, 3]
    assert summarize(s) is s
    with pytest.raises(DataError, match="pooled scores are empty"):
        pool([])


def test_comparison_is_counted_once_per_pair():
    a, b = summarize([1.0, 2.0]), summarize([0.0])
    assert compare(a, b) is compare(a, b)


def test_evaluate_takes_milliseconds_for_150000_scores():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 50_000), rng.normal(0, 1, 100_000)
    metrics.evaluate(a[:100], b[:100])
    sort = min(_seconds(lambda: (np.sort(a), np.sort(b))) for _ in range(3))
    whole = min(_seconds(lambda: metrics.evaluate(a, b)) for _ in range(3))
    assert whole < 20 * sort + 0.02


def _seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
