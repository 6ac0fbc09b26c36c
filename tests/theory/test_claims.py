"""Claims say what the numbers say: on both sides of the border, and on it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ood_core.metrics import auroc
from ood_core.models import ClassifierHead
from ood_core.theory.claims import of_network, of_training
from ood_core.theory.claims.claim import above, below
from ood_core.theory.claims.lab_rows import entropy_points, separation, width_points
from ood_core.theory.hidden_classifier import Estimate, measure_head


@pytest.mark.parametrize(
    ("low", "high", "is_above", "is_below"),
    [(0.6, 0.8, True, False), (0.2, 0.4, False, True), (0.4, 0.6, None, None)],
)
def test_verdict_follows_the_interval(low, high, is_above, is_below):
    estimate = Estimate((low + high) / 2, low, high, 10)
    assert above("", "", estimate, 0.5).holds is is_above
    assert below("", "", estimate, 0.5).holds is is_below
    words = {True: "holds here", False: "does not hold here", None: "not decided here"}
    assert above("", "", estimate, 0.5).verdict == words[is_above]


def test_nothing_measured_decides_nothing():
    claim = above("", "", None, 0.5)
    assert claim.holds is None
    assert claim.numbers == "not measured"


def test_numbers_as_a_reader_sees_them():
    assert above("", "", Estimate(0.123, 0.1, 0.15, 9), 0, "%").numbers == "12.3 % [10.0, 15.0]"
    points = above("", "", Estimate(-0.0001, -0.02, 0.01, 9), 0, "points").numbers
    assert points == "0.0 points [−2.0, 1.0]"
    assert above("", "", Estimate(0.5, 0.25, 0.75, 9), 0).numbers == "0.500 [0.250, 0.750]"


def test_interval_over_runs_is_students():
    x = np.array([0.7, 0.8, 0.75, 0.9, 0.6])
    got = of_training.over_runs(x)
    low, high = stats.t.interval(0.95, 4, x.mean(), stats.sem(x))
    assert (got.value, got.low, got.high) == pytest.approx((x.mean(), low, high))
    assert of_training.over_runs(x[:1]) is None
    assert of_training.over_runs(np.array([0.2, 1.0]), rate=True).high == 1.0


def test_claims_of_made_up_results(made_up):
    results = made_up()
    assert [c.holds for c in of_training.claims_of_training(results)] == [True, True]
    assert len(of_training.claims_of_labels(results)) == 10
    assert all(c.holds for c in of_training.claims_of_labels(results))
    assert all(c.holds for c in of_training.claims_of_nan(results, "photos"))
    assert [c.holds for c in of_training.claims_of_hidden_layers(results)] == [True, True, False]
    assert all(c.holds for c in of_training.claims_of_depth(results))
    assert [c.holds for c in of_training.claims_of_one_class(results)] == [False, False]
    assert [c.estimate.value for c in of_training.claims_of_width(results)] == pytest.approx([0, 0])
    (entropy,) = of_training.claims_of_entropy(results)
    assert entropy.holds is True


def test_claims_of_bad_results(made_up):
    results = made_up(good=0.3)
    assert not any(c.holds for c in of_training.claims_of_training(results))
    assert of_training.claims_of_training(results)[0].holds is False
    assert {c.holds for c in of_training.claims_of_labels(results)} == {False}
    noisy = made_up(wiggle=0.15, good=0.2)
    assert of_training.claims_of_training(noisy)[0].holds is None


def test_claims_need_no_results_at_all(made_up):
    from ood_core.theory.lab import load_results

    empty = load_results(())
    for claims in (
        of_training.claims_of_training, of_training.claims_of_labels, of_training.claims_of_nan,
        of_training.claims_of_entropy, of_training.claims_of_width, of_training.claims_of_one_class,
        of_training.claims_of_hidden_layers, of_training.claims_of_depth,
    ):  # fmt: skip
        assert all(c.estimate is None for c in claims(empty)), claims.__name__


def test_rows_by_hand(made_up):
    results = made_up()
    rows = separation(results, "instance", score="negative_aware_norm", fold="fit", against="noise")
    np.testing.assert_allclose(rows.to_numpy(), 0.85 + 0.01 * np.arange(5))
    assert len(entropy_points(results)) == 5 * 5 * 10
    assert len(width_points(results)) == 7 * 5 * 3


def test_correlation_between_runs_equals_resampling_by_hand(made_up):
    points = entropy_points(made_up(wiggle=0.05))
    rng = np.random.default_rng(1)
    points["auroc"] += rng.normal(0, 0.1, len(points))
    got = of_training._between_runs(points, "activation_entropy", "auroc")
    runs = [p for _, p in points.groupby("run")]
    drawn = np.random.default_rng(0).integers(0, len(runs), (of_training._DRAWS, len(runs)))
    slow = []
    for row in drawn[:50]:
        both = np.concatenate([runs[i][["activation_entropy", "auroc"]].to_numpy() for i in row])
        slow.append(np.corrcoef(both.T)[0, 1])
    assert got.low < np.median(slow) < got.high
    whole = np.corrcoef(points["activation_entropy"], points["auroc"])[0, 1]
    assert got.value == pytest.approx(whole)


@pytest.mark.parametrize(
    ("low", "high", "border", "unit", "shown"),
    [
        (0.0004, 0.013, 0.0, "points", "[0.04, 1.30]"),
        (0.00000004, 0.013, 0.0, "points", "[0.000004, 1.300000]"),
        (-0.013, -0.0004, 0.0, "points", "[−1.30, −0.04]"),
        (0.50004, 0.7, 0.5, "", "[0.50004, 0.70000]"),
        (0.1, 0.24996, 0.25, "%", "[10.000, 24.996]"),
        (0.0, 0.013, 0.0, "points", "[0.0, 1.3]"),
        (-0.2, 0.3, 0.0, "points", "[−20.0, 30.0]"),
    ],
)
def test_a_printed_interval_touches_the_border_only_where_it_does(
    low: float, high: float, border: float, unit: str, shown: str
) -> None:
    estimate = Estimate((low + high) / 2, low, high, 9)
    assert above("A.", "m", estimate, border, unit).numbers.endswith(shown)


def test_own_network_claims_say_what_was_measured():
    rng = np.random.default_rng(0)
    head = ClassifierHead(np.repeat(np.eye(3), 4, 1) - 0.1)
    labels = rng.integers(0, 3, 300)
    features = np.maximum(rng.normal(0.1, 0.1, (300, 12)), 0)
    features[np.arange(300)[:, None], 4 * labels[:, None] + np.arange(4)] += rng.gamma(
        9, 1, (300, 1)
    )
    found = {
        "test": measure_head(features, head, labels),
        "far": measure_head(np.maximum(rng.normal(0.1, 0.1, (50, 12)), 0), head),
    }
    bounds, accuracy, moves, near = of_network.claims_of_hidden(found, "test")
    assert all(c.holds for c in (bounds, accuracy, moves, near))
    assert "350 images" in bounds.measure
    assert "chance: 33.3 %" in accuracy.measure
    blind = {"test": measure_head(features, ClassifierHead(np.tile([1.0, -1.0], (3, 6))), labels)}
    assert of_network.claims_of_hidden(blind, "test")[3].holds is False


def test_nan_here_compares_each_ood_set(acts_set):
    acts_set.experiment.test_set = "test"
    claims = of_network.claims_of_nan_here(acts_set, "penultimate", ("near", "far"))
    assert ["near" in c.text for c in claims] == [True, False]
    rows = of_network.norm_and_nan(acts_set, "early", ("far",)).set_index("score")["auroc"]
    layer = {n: acts_set[n].layer("early").pooled.astype(float) for n in ("test", "far")}
    norm = {n: np.abs(a).sum(1) for n, a in layer.items()}
    nan = {n: norm[n] / np.maximum((a > 0).sum(1), 1) for n, a in layer.items()}
    assert rows["norm"] == pytest.approx(auroc(norm["test"], norm["far"]))
    assert rows["negative_aware_norm"] == pytest.approx(auroc(nan["test"], nan["far"]))
