"""Figures of the Layers page: what they draw is what the core computed, and they stay small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from ood_core.activations import Activations
from ood_core.layers import (
    active_units,
    entropy_by_layer,
    layer_metrics,
    mean_over_sets,
    nan_apart,
    neuron_entropy,
)
from ood_core.metrics.paired import Difference
from ood_core.plots import layer_units
from ood_core.plots import layers as plots
from ood_core.plots.framing import framed, in_lines, resized
from ood_core.plots.gains import gains_figure
from ood_core.plots.hidden_classifier import nan_gain
from ood_core.scoring.gains import Gain

BLUE, RED, ORANGE = "#0072B2", "#D55E00", "#E69F00"
COLOURS = {"test": BLUE, "near": RED, "far": ORANGE}


def _acts(n: int, shift: float, seed: int) -> Activations:
    a = np.maximum(np.random.default_rng(seed).normal(shift, 1, size=(n, 12)), 0)
    return Activations.from_arrays(a, layers={"block1": a - 0.5, "block2": a})


ACTS = {"test": _acts(60, 0.6, 0), "near": _acts(40, 0.3, 1), "far": _acts(30, -0.5, 2)}
FRAME = layer_metrics(ACTS, "test", ["near", "far"])


def _titled(figure: object) -> None:
    layout = figure.layout  # type: ignore[attr-defined]
    assert layout.title.text
    assert layout.xaxis.title.text or layout.xaxis3.title.text
    assert layout.yaxis.title.text or layout.yaxis3.title.text


@pytest.mark.parametrize("metric", ["auroc", "fpr95"])
def test_depth_curves_draw_every_layer_in_percent(metric: str) -> None:
    mean = mean_over_sets(FRAME)
    figure = plots.depth_curves(mean, metric, "block2")
    _titled(figure)
    for trace in figure.data:
        score = next(s for s, t in plots.SCORE_TITLES.items() if t == trace.name)
        rows = mean[mean["score"] == score]
        np.testing.assert_allclose(trace.y, 100 * rows[metric])
        assert list(trace.customdata) == ["block1", "block2", "penultimate"]
    assert figure.layout.shapes[0].x0 == 2


@pytest.mark.parametrize("score", ["negative_aware_norm", "l1", "gain"])
@pytest.mark.parametrize("metric", ["auroc", "fpr95"])
def test_depth_heatmap_cells(score: str, metric: str) -> None:
    figure = plots.depth_heatmap(FRAME, score, metric, "penultimate")
    _titled(figure)
    z = np.asarray(figure.data[0].z)
    for i, ood in enumerate(["near", "far"]):
        rows = FRAME[FRAME["ood_set"] == ood].set_index(["score", "layer"])[metric]
        for j, layer in enumerate(["block1", "block2", "penultimate"]):
            want = (
                rows["negative_aware_norm", layer] - rows["l1", layer]
                if score == "gain"
                else rows[score, layer]
            )
            sign = -1 if score == "gain" and metric == "fpr95" else 1
            np.testing.assert_allclose(z[i, j], 100 * sign * want, rtol=1e-6)
    if score == "gain":
        assert figure.data[0].zmin == -figure.data[0].zmax
    assert list(figure.data[1].customdata) == ["block1", "block2", "penultimate"] * 2


def test_units_and_entropy_figures_close_their_outlines() -> None:
    units = active_units(ACTS, list(ACTS))
    figure = layer_units.active_units_figure(units, COLOURS, "penultimate")
    _titled(figure)
    assert [t.line.color for t in figure.data] == [BLUE, RED, ORANGE]
    for trace in figure.data:
        assert trace.y[0] == trace.y[-1] == 0
        np.testing.assert_allclose(np.sum(trace.y[1:-1:2]), 100)
    entropies = {s: neuron_entropy(a.layer()) for s, a in ACTS.items()}
    figure = layer_units.entropy_histogram(entropies, COLOURS, "penultimate")
    _titled(figure)
    np.testing.assert_allclose([np.sum(t.y[1:-1:2]) for t in figure.data], 100)
    _titled(plots.entropy_curves(entropy_by_layer(ACTS, list(ACTS)), COLOURS, "gap", "block1"))


def test_nan_scatter_stays_small_with_many_images() -> None:
    rng = np.random.default_rng(0)
    big = {
        name: Activations.from_arrays(np.maximum(rng.normal(m, 1, (n, 64)), 0).astype(np.float32))
        for name, m, n in (("test", 0.2, 50_000), ("near", 0.0, 50_000), ("far", -0.2, 50_000))
    }
    figure = layer_units.nan_scatter(nan_apart(big, "test", ["near", "far"]), COLOURS)
    _titled(figure)
    assert len(figure.to_json()) < 250_000
    apart = nan_apart(big, "test", ["near", "far"])
    lines = {t.hovertemplate: t for t in figure.data if (t.hovertemplate or "").startswith("NAN")}
    cut = next(t for text, t in lines.items() if "accepts 95 %" in text)
    np.testing.assert_allclose(cut.y[1], apart.thresholds["negative_aware_norm"] * cut.x[1])
    assert cut.y[0] == cut.x[0] == 0


def test_nan_scatter_is_not_squeezed_by_a_far_image() -> None:
    far = np.array(ACTS["far"].features)
    far = np.repeat(far, 20, axis=0)
    far[0] *= 1000
    acts = {**ACTS, "far": Activations.from_arrays(far)}
    figure = layer_units.nan_scatter(nan_apart(acts, "test", ["near", "far"]), COLOURS)
    most = max(float(a.layer().l1[1:].max()) for a in acts.values())
    assert figure.layout.yaxis3.range[1] <= most


@pytest.mark.parametrize("count", [1, 3, 16, 17, 40, 170])
def test_the_axis_over_depth_names_layers_however_many_there_are(count: int) -> None:
    names = [f"blocks.{i}" for i in range(count)]
    frame = pd.DataFrame({"depth": range(count), "layer": names})
    figure = go.Figure(layout={"height": 300, "margin": {"b": 46}})
    plots._name_layers(figure, frame)
    axis = figure.layout.xaxis
    places, texts = list(axis.tickvals), list(axis.ticktext)
    assert (axis.tickangle is None) == (count <= 3)
    assert figure.layout.margin.b - 46 == figure.layout.height - 300
    assert 0 < len(places) <= 16
    assert texts == [names[place] for place in places]
    assert places[-1] == count - 1
    assert len(places) == min(count, 16) or len(places) > 8


def test_gains_are_drawn_in_points_with_their_intervals() -> None:
    d = {"near": Difference(0.04, 0.02, 0.06), "far": Difference(-0.005, -0.01, 0.0)}
    found = Gain("line", "energy", {"near": 0.9, "far": 0.5}, {"near": 0.86, "far": 0.505}, d)
    figure = gains_figure([found], COLOURS, {"line": "LINe", "energy": "Energy"})
    near, far = figure.data
    assert (near.x[0], near.y[0], near.marker.color) == (pytest.approx(4.0), "near", RED)
    assert near.error_x.array[0] == pytest.approx(2.0)
    assert near.error_x.arrayminus[0] == pytest.approx(2.0)
    assert "86.00 → 90.00 %" in near.hovertemplate
    assert far.text[0] == "−0.5"
    assert "LINe" in figure.layout.annotations[0].text
    assert "points of AUROC" in figure.layout.xaxis.title.text


def test_a_gains_label_keeps_off_the_line_at_zero_on_the_common_scale() -> None:
    far, near = (Difference(v, v - 0.01, v + 0.01) for v in (-0.6, 0.05))
    one = Gain("line", "energy", {"near": 0.3}, {"near": 0.9}, {"near": far})
    two = Gain("line", "energy", {"near": 0.9}, {"near": 0.85}, {"near": near})
    figure = gains_figure([one, two], COLOURS, {"line": "LINe", "energy": "Energy"})
    assert [trace.textposition for trace in figure.data] == ["top center", "top right"]


def test_titles_are_broken_into_lines_that_a_phone_shows_and_get_room_for_them() -> None:
    title = "Active units per image at penultimate: ID against OOD"
    figure = go.Figure(layout=framed(title, 300, 7, xaxis={"title": "x" * 20 + " " + "y" * 30}))
    before = (figure.layout.height, figure.layout.margin.t, figure.layout.margin.b)
    in_lines(figure)
    assert figure.layout.title.text == "Active units per image at penultimate:<br>ID against OOD"
    assert figure.layout.xaxis.title.text == "x" * 20 + "<br>" + "y" * 30
    after = (figure.layout.height, figure.layout.margin.t, figure.layout.margin.b)
    assert after == (before[0] + 17 + 15, before[1] + 17, before[2] + 15)
    in_lines(figure)
    assert after == (figure.layout.height, figure.layout.margin.t, figure.layout.margin.b)


def test_a_short_title_stays_in_its_line() -> None:
    figure = go.Figure(layout=framed("NAN: ID against OOD", 300))
    in_lines(figure)
    assert figure.layout.title.text == "NAN: ID against OOD"
    assert figure.layout.height == 300


def test_sets_that_are_called_by_numbers_and_dates_stand_in_their_order() -> None:
    sets = ["2024", "7", "2020-01-01"]
    values = dict.fromkeys(sets, 0.5)
    found = Gain("a", "b", values, values, dict.fromkeys(sets, Difference(0.0, -0.1, 0.1)))
    frame = layer_metrics({"test": ACTS["test"], **dict.fromkeys(sets, ACTS["far"])}, "test", sets)
    rows = pd.DataFrame({"score": "norm", "ood_set": sets, "auroc": 0.5})
    rows = pd.concat([rows, rows.assign(score="negative_aware_norm")])
    for figure in (
        gains_figure([found], dict.fromkeys(sets, RED), {"a": "A", "b": "B"}),
        plots.depth_heatmap(frame, "gain", "auroc"),
        nan_gain(rows, sets, "gain"),
    ):
        assert figure.layout.yaxis.type == "category"


def test_a_note_below_an_axis_title_does_not_keep_the_title_from_being_broken() -> None:
    title = "x" * 30 + " " + "y" * 30 + "<br><sub>a note</sub>"
    figure = go.Figure(layout=framed("short", 300, 2, xaxis={"title": title}))
    in_lines(figure)
    assert figure.layout.xaxis.title.text == "x" * 30 + "<br>" + "y" * 30 + "<br><sub>a note</sub>"
    before = figure.layout.margin.b
    in_lines(figure)
    assert figure.layout.margin.b == before


def test_another_height_leaves_the_legend_as_many_pixels_below_the_plot() -> None:
    figure = go.Figure(layout=framed("short", 300, 2))

    def below() -> float:
        layout = figure.layout
        return layout.legend.y * (layout.height - layout.margin.t - layout.margin.b)

    before = below()
    resized(figure, 460)
    assert figure.layout.height == 460
    assert below() == pytest.approx(before)
