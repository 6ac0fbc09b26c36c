"""Figures of the Neurons page: what they draw is what the core computed, and they stay small."""

from __future__ import annotations

import html

import numpy as np
import pandas as pd

from ood_core.activations import Activations
from ood_core.models import ClassifierHead
from ood_core.neurons import (
    LineLab,
    accuracy_effect,
    contribution_table,
    drill,
    image_receipt,
    summary_of_receipt,
)
from ood_core.plots import neuron_views
from ood_core.plots.map import feature_map
from ood_core.plots.receipts import neuron_bars

C, D = 5, 24
RNG = np.random.default_rng(4)
HEAD = ClassifierHead(RNG.normal(size=(C, D)), class_names=("cat", "dog", "owl", "elk", "emu"))
COLOURS = {"test": "#0072B2", "near": "#D55E00", "far": "#E69F00"}


def _acts(n: int, shift: float) -> Activations:
    h = np.maximum(RNG.normal(shift, 1, size=(n, D)), 0).astype(np.float32)
    return Activations.from_arrays(h, HEAD.logits(h), np.arange(n) % C)


ACTS = {"fit": _acts(60, 0.4), "test": _acts(50, 0.4), "near": _acts(30, 0), "far": _acts(20, -1)}
LAB = LineLab(ACTS["fit"], ACTS, "test", ("near", "far"), HEAD)


def _titled(figure: object) -> None:
    layout = figure.layout  # type: ignore[attr-defined]
    assert layout.title.text
    assert layout.xaxis.title.text
    assert layout.yaxis.title.text


def test_one_neuron() -> None:
    found = drill(ACTS, list(COLOURS), LAB.contributions, LAB.class_means, HEAD, 3, 1.0)
    bars = neuron_views.contribution_bars(found)
    _titled(bars)
    shown = dict(zip(bars.data[0].y, bars.data[0].x, strict=True))
    np.testing.assert_allclose([shown[n] for n in HEAD.names], LAB.contributions[:, 3])
    figure = neuron_views.activation_histogram(found, COLOURS, 1.0)
    _titled(figure)
    for trace in figure.data:
        np.testing.assert_allclose(np.sum(trace.y[1:-1:2]), 100)


def test_many_classes_show_the_strongest() -> None:
    head = ClassifierHead(RNG.normal(size=(40, D)))
    contrib = RNG.normal(size=(40, D))
    found = drill(ACTS, ["test"], contrib, contrib, head, 0, 1.0)
    bars = neuron_views.contribution_bars(found)
    strongest = sorted(np.abs(contrib[:, 0]), reverse=True)[:24]
    np.testing.assert_allclose(sorted(np.abs(bars.data[0].x), reverse=True), strongest)
    assert "24 strongest of 40" in bars.layout.title.text


def test_without_neurons() -> None:
    before, after = LAB.rescore(90, 90, 1.0), LAB.rescore(90, 90, 1.0, drop=[1, 2])
    figure = neuron_views.effect_figure(before, after)
    _titled(figure)
    by_name = {t.name: t for t in figure.data if t.name}
    np.testing.assert_allclose(by_name["LINe, all neurons"].x, 100 * before.rates["auroc"])
    np.testing.assert_allclose(by_name["energy, without"].x, 100 * after.rates["energy_auroc"])
    accuracy = accuracy_effect(ACTS["test"], HEAD, np.array([1, 2]))
    figure = neuron_views.accuracy_figure(accuracy)
    _titled(figure)
    np.testing.assert_allclose(figure.data[1].x, 100 * accuracy["after"])


def test_of_many_classes_only_those_that_change_are_drawn() -> None:
    names = [str(c) for c in range(100)]
    before = np.full(100, 0.5)
    table = pd.DataFrame({"class": names, "n": 4, "before": before, "after": before})
    unchanged = neuron_views.accuracy_figure(table)
    assert "no class differs; 24 of 100 classes" in unchanged.layout.title.text
    table.loc[[7, 60], "after"] = 0.25
    figure = neuron_views.accuracy_figure(table)
    assert "2 of 2 classes that differ" in figure.layout.title.text
    assert list(figure.data[0].y) == ["7", "60"]
    table["after"] = 0.0
    assert len(neuron_views.accuracy_figure(table).data[0].y) == 24


def test_one_image() -> None:
    receipt = image_receipt(LAB.detector(50, 50, 0.5), HEAD, ACTS["near"].features[0])
    figure = neuron_views.image_figure(receipt, HEAD.names, most=10)
    _titled(figure)
    table = receipt.neurons.set_index("neuron")
    chosen = [int(j) for j in figure.data[0].x]
    assert len(chosen) == 10
    np.testing.assert_allclose(figure.data[0].y, table.loc[chosen, "before"])
    np.testing.assert_allclose(figure.data[1].y, table.loc[chosen, "after"])
    text = summary_of_receipt(receipt, HEAD.names)
    active = receipt.neurons["activation"] > 0
    assert (
        f"Of {active.sum()} active neurons **{(active & receipt.neurons['kept']).sum()}**" in text
    )
    assert f"LINe score **{receipt.line:.3f}**" in text


def test_contribution_table_holds_every_number() -> None:
    table = contribution_table(LAB.contributions, HEAD.names)
    assert table["class"].tolist() == list(HEAD.names)
    np.testing.assert_array_equal(table[list(range(D))].to_numpy(), LAB.contributions)


ODD = ("<b>x</b>", "$x$", "%{x}", "a<br>b", "&lt;")


def test_class_names_are_shown_as_they_are_written() -> None:
    head = ClassifierHead(HEAD.weight, class_names=ODD)
    found = drill(ACTS, list(COLOURS), LAB.contributions, LAB.class_means, head, 3, 1.0)
    bars = neuron_views.contribution_bars(found)
    loss = accuracy_effect(ACTS["test"], head, [0])
    bars_of_accuracy = neuron_views.accuracy_figure(loss)
    for figure in (bars, bars_of_accuracy):
        labels = set(figure.data[0].y)
        assert {html.unescape(label) for label in labels} == set(ODD)
        assert not any(set("<$") & set(label) or "%{" in label for label in labels)
    title = neuron_bars(pd.DataFrame({"neuron": [], "state": []}), ODD[0]).layout.title.text
    assert "&lt;b&gt;x&lt;/b&gt;" in title
    frame = pd.DataFrame({"set": ["test"] * 5, "x": range(5), "y": range(5)})
    points = feature_map(
        frame, id_set="test", ood_order=[], colour="class", values=pd.Series(range(5)),
        class_names=dict(enumerate(ODD)),
    )  # fmt: skip
    for trace, name in zip(points.data, ODD, strict=True):
        assert html.unescape(trace.name) == name
        assert "<b>" not in trace.hovertemplate
        assert "%{x}<br>" not in trace.hovertemplate
