"""Neurons on ID and OOD images, and the network without some of them, against slow oracles."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.errors import DataError
from ood_core.models import ClassifierHead
from ood_core.neurons import (
    LineLab,
    accuracy_effect,
    drill,
    drop_neurons,
    mean_activations,
    neuron_column,
    rates,
    strongest_first,
    top_images,
    top_neurons,
)
from tests.neurons.oracles import class_means, contributions

C, D = 4, 9
RNG = np.random.default_rng(5)
HEAD = ClassifierHead(RNG.normal(size=(C, D)), RNG.normal(size=C), ("cat", "dog", "owl", "elk"))


def _acts(name: str, n: int, shift: float, labels: bool = True) -> Activations:
    h = np.maximum(RNG.normal(shift, 1, size=(n, D)), 0).astype(np.float32)
    y = np.arange(n) % C if labels else None
    return Activations.from_arrays(h, HEAD.logits(h), y, name=name)


ACTS = {"fit": _acts("fit", 80, 0.5), "test": _acts("test", 50, 0.5),
        "near": _acts("near", 30, 0.2, False), "far": _acts("far", 20, -0.3, False)}  # fmt: skip
CONTRIB = contributions(ACTS["fit"], HEAD)
MEANS = class_means(ACTS["fit"].features, ACTS["fit"].labels, C)


def test_the_strongest_on_one_set_come_first() -> None:
    means = mean_activations(ACTS, ["test", "far"])
    ordered = strongest_first(means, "test")
    assert ordered["test"].is_monotonic_decreasing
    assert sorted(ordered["neuron"]) == list(range(len(means)))
    by_number = means.set_index("neuron")["far"]
    np.testing.assert_array_equal(ordered["far"], by_number[ordered["neuron"]])
    few = strongest_first(means, "test", most=5)
    assert few["neuron"].iloc[[0, -1]].tolist() == ordered["neuron"].iloc[[0, -1]].tolist()
    assert len(few) == 5


def test_mean_activations_equal_a_loop() -> None:
    frame = mean_activations(ACTS, ["test", "far"])
    for j in range(D):
        for name in ("test", "far"):
            want = sum(float(v) for v in ACTS[name].features[:, j]) / len(ACTS[name])
            np.testing.assert_allclose(frame[name][j], want, rtol=1e-12)


def test_drill_puts_class_and_set_together() -> None:
    found = drill(ACTS, ["test", "near", "far"], CONTRIB, MEANS, HEAD, 3, clip=0.8, bins=7)
    for c, row in enumerate(found.by_class.itertuples()):
        rows = [
            h[3] for h, y in zip(ACTS["fit"].features, ACTS["fit"].labels, strict=True) if y == c
        ]
        np.testing.assert_allclose(row.mean_activation, sum(map(float, rows)) / len(rows))
        np.testing.assert_allclose(row.contribution, HEAD.weight[c, 3] * row.mean_activation)
        np.testing.assert_allclose(row.contribution, CONTRIB[c, 3])
    for name in ("test", "near", "far"):
        a = [float(v) for v in ACTS[name].features[:, 3]]
        bins = found.histogram[found.histogram["set"] == name]
        assert bins["count"].sum() == len(a)
        row = found.summary.set_index("set").loc[name]
        np.testing.assert_allclose(row["above_clip"], sum(v > 0.8 for v in a) / len(a))
        np.testing.assert_allclose(row["active"], sum(v > 0 for v in a) / len(a))
        np.testing.assert_allclose(row["mean"], np.mean(a))


def test_top_images_are_the_strongest_in_order() -> None:
    frame = top_images(ACTS, ["test", "far"], 2, k=5)
    for name in ("test", "far"):
        rows = frame[frame["set"] == name]
        ranked = sorted(range(len(ACTS[name])), key=lambda i: (-ACTS[name].features[i, 2], i))[:5]
        assert rows["index"].tolist() == ranked
        assert rows["id"].tolist() == [ACTS[name].ids[i] for i in ranked]


def test_neurons_that_do_not_exist() -> None:
    with pytest.raises(DataError, match="neuron 9 does not exist: the layer has neurons 0 to 8"):
        neuron_column(ACTS["test"], 9)
    with pytest.raises(DataError, match="neuron -1 does not exist"):
        drill(ACTS, ["test"], CONTRIB, MEANS, HEAD, -1, clip=1.0)


@pytest.mark.parametrize("with_logits", [True, False])
def test_dropped_neurons_are_zero_and_the_logits_follow(with_logits: bool) -> None:
    acts = ACTS["test"]
    if not with_logits:
        acts = Activations.from_arrays(acts.features)
    before = acts.features.copy()
    without = drop_neurons(acts, HEAD, np.array([1, 4]))
    np.testing.assert_array_equal(acts.features, before)
    for i in range(len(acts)):
        h = acts.features[i].astype(float)
        h[[1, 4]] = 0
        np.testing.assert_allclose(without.features[i], h)
        np.testing.assert_allclose(without.logits[i], HEAD.weight @ h + HEAD.bias, rtol=1e-5)


def _slow_auroc(a: np.ndarray, b: np.ndarray) -> float:
    return sum((x > y) + 0.5 * (x == y) for x in a for y in b) / (len(a) * len(b))


def test_rates_without_neurons_equal_scoring_by_hand() -> None:
    drop = top_neurons(CONTRIB, 0, 2)
    lab = LineLab(ACTS["fit"], ACTS, "test", ["near", "far"], HEAD)

    def scores(name: str, kept: np.ndarray) -> np.ndarray:
        h = ACTS[name].features.astype(float) * kept
        return np.log(np.exp(h @ HEAD.weight.T + HEAD.bias).sum(1))

    for gone in (np.array([], int), drop):
        kept = ~np.isin(range(D), gone)
        found = lab.rescore(90, 90, 1.0, drop=gone).rates
        assert list(found["ood_set"]) == ["near", "far"]
        for row in found.itertuples():
            want = _slow_auroc(scores("test", kept), scores(row.ood_set, kept))
            np.testing.assert_allclose(row.energy_auroc, want)


def test_rates_are_the_metrics() -> None:
    scores = {"test": np.arange(20.0), "far": np.arange(-5.0, 5.0)}
    frame = rates(scores, "test", ["far"])
    np.testing.assert_allclose(frame["auroc"][0], _slow_auroc(scores["test"], scores["far"]))
    np.testing.assert_allclose(frame["fpr95"][0], np.mean(scores["far"] >= 1))


def test_accuracy_effect_counts_images() -> None:
    drop = np.array([0, 3])
    frame = accuracy_effect(ACTS["test"], HEAD, drop)
    for c, row in enumerate(frame.itertuples()):
        before = after = n = 0
        for h, y in zip(ACTS["test"].features.astype(float), ACTS["test"].labels, strict=True):
            if y != c:
                continue
            n += 1
            before += int(np.argmax(HEAD.weight @ h + HEAD.bias) == c)
            h[drop] = 0
            after += int(np.argmax(HEAD.weight @ h + HEAD.bias) == c)
        assert (row.n, row.before, row.after) == (n, before / n, after / n)
    with pytest.raises(DataError, match="accuracy needs labels, and 'far' has none"):
        accuracy_effect(ACTS["far"], HEAD, drop)
