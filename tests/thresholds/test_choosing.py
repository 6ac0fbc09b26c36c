"""Operating points against brute force over every threshold; the guarantees by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ood_core import metrics, thresholds
from ood_core.errors import ConfigError
from ood_core.thresholds import at_cost, at_fpr, at_threshold, at_tpr, conformal, halves

CASES = range(30)


def make_case(seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    n, m, k = rng.integers(2, 50, 3)
    decimals = [0, 1, 12][seed % 3]
    ood = {
        "a": np.round(rng.normal(0, 1, m), decimals),
        "b": np.round(rng.normal(-1, 2, k), decimals),
    }
    ood["b"][rng.random(k) < 0.2] = -np.inf
    return np.round(rng.normal(1, 1, n), decimals), ood


def cuts(a, ood) -> np.ndarray:
    return np.array([*np.unique(np.concatenate([a, *ood.values()])), np.inf])


@pytest.mark.parametrize("seed", CASES)
@pytest.mark.parametrize("tpr", [0.95, 0.5, 1.0])
def test_at_tpr_is_the_highest_threshold_and_agrees_with_the_metric(seed, tpr):
    a, ood = make_case(seed)
    point = at_tpr(a, ood, tpr)
    assert point.threshold == max(t for t in cuts(a, ood) if np.mean(a >= t) >= tpr - 1e-12)
    assert point.tpr == np.mean(a >= point.threshold)
    for name, scores in ood.items():
        assert point.ood[name].rate == metrics.fpr_at_tpr(a, scores, tpr)


@pytest.mark.parametrize("seed", CASES)
@pytest.mark.parametrize("fpr", [0.0, 0.05, 0.07, 0.5, 0.99])
def test_at_fpr_is_the_lowest_score_within_the_rate(seed, fpr):
    a, ood = make_case(seed)
    pooled = np.concatenate(list(ood.values()))
    allowed = [
        t for t in cuts(a, ood) if np.sum(pooled >= t) * 1000 <= round(fpr * 1000) * len(pooled)
    ]
    point = at_fpr(a, ood, fpr)
    assert point.threshold == min(allowed)
    assert point.fpr == np.mean(pooled >= point.threshold) <= fpr


@pytest.mark.parametrize("seed", CASES)
@pytest.mark.parametrize(("ratio", "prevalence"), [(1, 0.5), (10, 0.1), (0.1, 0.9), (3, 0), (3, 1)])
def test_at_cost_has_the_least_cost(seed, ratio, prevalence):
    a, ood = make_case(seed)
    pooled = np.concatenate(list(ood.values()))

    def cost(t):
        return (1 - prevalence) * np.mean(a < t) + prevalence * ratio * np.mean(pooled >= t)

    found = at_cost(a, ood, ratio, prevalence).threshold
    np.testing.assert_allclose(cost(found), min(cost(t) for t in cuts(a, ood)), atol=1e-12)


@pytest.mark.parametrize("n", [1, 18, 19, 20, 99, 100, 137])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.07, 0.5])
def test_conformal_accepts_exactly_where_p_exceeds_alpha(n, alpha):
    rng = np.random.default_rng(n)
    calibration = np.round(rng.normal(size=n), 1)
    new = np.round(rng.normal(size=500), 1)
    point = conformal(calibration, alpha=alpha)
    p = thresholds.conformal_p_values(calibration, new)
    slow = np.array([(1 + np.sum(calibration <= s)) / (n + 1) for s in new])
    np.testing.assert_allclose(p, slow)
    np.testing.assert_array_equal(new >= point.threshold, p > alpha + 1e-12)
    if n + 1 < 1 / alpha:
        assert point.threshold == -math.inf
        assert "too few" in point.how
        assert f"at least { {0.05: 19, 0.1: 9, 0.07: 14, 0.5: 1}[alpha] } are" in point.how


def test_conformal_guarantee_holds_on_average():
    """2,000 calibration sets of 59 and one new image each: rejected at most 10 % (and near it)."""
    rng = np.random.default_rng(3)
    rejected = [
        rng.normal() < conformal(rng.normal(size=59), alpha=0.1).threshold for _ in range(2000)
    ]
    assert 0.08 < np.mean(rejected) < 0.115


def test_choosing_on_one_half_and_counting_on_the_other():
    rng = np.random.default_rng(0)
    a, ood = rng.normal(2, 1, 401), {"far": rng.normal(0, 1, 300)}
    split = halves(a, ood)
    again = halves(a, ood)
    np.testing.assert_array_equal(split.calibration.id.values, again.calibration.id.values)
    assert (len(split.calibration.id), len(split.evaluation.id)) == (201, 200)
    both = np.concatenate([split.calibration.id.values, split.evaluation.id.values])
    np.testing.assert_array_equal(np.sort(both), np.sort(a))
    point = at_tpr(split.calibration, tpr=0.95, count_on=split.evaluation)
    assert point.threshold == at_tpr(split.calibration.id, tpr=0.95).threshold
    assert point.id.n == 200
    assert point.id.low < 0.95 < point.id.high
    assert point.ood["far"].n == 150
    assert "the calibration half" in point.how
    assert point.on == "Counted on the evaluation half, which the choice never saw."


def test_point_counts_and_precision():
    point = at_threshold([1.0, 2, 3], {"a": [0.0, 2.5], "b": [5.0]}, 2.0)
    assert (point.id.count, point.id.rejected, point.tpr) == (2, 1, 2 / 3)
    assert (point.fpr, point.precision) == (2 / 3, 0.5)
    assert point.ood["a"].rate == 0.5
    nothing = at_threshold([1.0], {"a": [0.0]}, math.inf)
    assert math.isnan(nothing.precision)
    assert math.isnan(at_threshold([1.0], {}, 0).fpr)


def test_minus_infinity_is_accepted_only_by_minus_infinity():
    assert at_threshold([-np.inf, 1.0], {"a": [-np.inf]}, -1e300).id.count == 1
    assert at_threshold([-np.inf, 1.0], {"a": [-np.inf]}, -np.inf).ood["a"].count == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: at_threshold([1.0], {}, math.nan), "got NaN"),
        (lambda: at_tpr([1.0], {}, 0), r"tpr must be in \(0, 1\], got 0"),
        (lambda: at_fpr([1.0], {"a": [0.0]}, 1), r"fpr must be in \[0, 1\), got 1"),
        (lambda: at_fpr([1.0], {}, 0.1), "give at least one OOD set"),
        (lambda: at_cost([1.0], {"a": [0.0]}, 0), "cost_ratio must be a number > 0, got 0"),
        (lambda: at_cost([1.0], {"a": [0.0]}, 1, 2), r"prevalence must be in \[0, 1\], got 2"),
        (lambda: conformal([1.0], alpha=5), r"alpha must be in \(0, 1\), got 5"),
        (lambda: halves([1.0]), "the ID test set has 1 images: too few to split"),
    ],
)
def test_errors_say_what_is_allowed(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_at_reads_what_the_command_line_writes():
    rng = np.random.default_rng(1)
    split = halves(rng.normal(1, 1, 200), {"far": rng.normal(0, 1, 200)})
    one, other = split.calibration, split.evaluation
    assert thresholds.at("tpr=0.9", one) == at_tpr(one, tpr=0.9)
    assert thresholds.at("fpr=0.1", one) == at_fpr(one, fpr=0.1)
    assert thresholds.at("alpha=0.1", one, count_on=other) == conformal(
        one, alpha=0.1, count_on=other
    )
    assert thresholds.at("cost=3", one) == at_cost(one, cost_ratio=3)
    assert thresholds.at("cost=3, prevalence=0.1", one) == at_cost(
        one, cost_ratio=3, prevalence=0.1
    )
    assert thresholds.at("threshold=-1e-3", one).threshold == -1e-3


@pytest.mark.parametrize("text", ["", "tpr", "tpr=x", "tpr=0.9,fpr=0.1", "prevalence=0.1", "top=1"])
def test_at_says_what_it_can_read(text):
    with pytest.raises(ConfigError, match=r"cannot read .*write tpr=0\.95"):
        thresholds.at(text, thresholds.Sample.of([1.0], {"a": [0.0]}))
