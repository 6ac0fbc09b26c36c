"""Figures of Why it works: what they show, and that they stay small."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from ood_core.models import ClassifierHead
from ood_core.plots import hidden_classifier as plots
from ood_core.plots import lab as lab_plots
from ood_core.plots.theme import ID_COLOUR
from ood_core.theory.claims import lab_rows
from ood_core.theory.hidden_classifier import measure_head
from ood_core.theory.lab.vectors import OOD_SETS


@pytest.fixture(scope="module")
def results():
    path = Path(__file__).parents[1] / "theory" / "lab_tables.py"
    spec = importlib.util.spec_from_file_location("lab_tables", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.made_up()


def titled(figure) -> None:
    """Every figure has a title and titled axes."""
    assert figure.layout.title.text
    axes = [figure.layout[name] for name in figure.layout if name.startswith("xaxis")]
    assert any(axis.title.text for axis in axes)


def test_scatter_keeps_exact_points_below_the_line():
    rng = np.random.default_rng(0)
    head = ClassifierHead(rng.normal(size=(3, 6)))
    found = {n: measure_head(np.abs(rng.normal(size=(2000, 6))), head) for n in ("test", "far")}
    figure = plots.norm_against_logit(found, {"test": ID_COLOUR, "far": "#D55E00"}, "penultimate")
    titled(figure)
    assert [t.name for t in figure.data] == ["far", "test (ID)", "equal"]
    for trace, name in zip(figure.data[:2], ("far", "test"), strict=True):
        assert len(trace.x) <= 400
        assert np.isin(trace.x, found[name].norm.astype(np.float32)).all()
        assert (trace.y <= trace.x * (1 + 1e-6)).all()
    small = plots.norm_against_logit(
        {"test": measure_head(np.ones((3, 6)), head)}, {"test": ID_COLOUR}, "x"
    )
    assert len(small.data[0].x) == 3


def test_curves_over_training_are_means_over_seeds(results):
    rows = lab_rows.scheme_rows(results, "photos")
    figure = lab_plots.separation_over_training(
        rows, lab_rows.scheme_titles(), what="the norm", against="photos"
    )
    titled(figure)
    lines = [t for t in figure.data if t.mode == "lines+markers"]
    assert len(lines) == 10
    of = rows[(rows["scheme"] == "instance") & (rows["fold"] == "test")]
    line = lines[6]
    assert line.name == "Instance"
    np.testing.assert_allclose(line.y, 100 * of.groupby("epoch")["auroc"].mean())
    assert list(line.customdata) == sorted(of["epoch"].unique())
    bands = [t for t in figure.data if t.fill == "toself"]
    assert max(bands[1].y) == pytest.approx(100 * of["auroc"].max())


def test_norms_over_training(results):
    figure = lab_plots.norm_over_training(lab_rows.norm_rows(results), list(OOD_SETS))
    titled(figure)
    assert [t.name for t in figure.data] == ["ID, trained on", "ID, new", "OOD"]
    np.testing.assert_allclose(figure.data[0].y[[0, -1]], [10, 11])


def test_hidden_classifiers_by_layer(results):
    figure = plots.hidden_by_layer(lab_rows.hidden_rows(results), list(OOD_SETS))
    titled(figure)
    assert len(figure.data) == 12
    trained = next(t for t in figure.data if t.name == "ID test, trained")
    np.testing.assert_allclose(trained.y, 100 * (0.9 + 0.02))


def test_the_other_figures_have_titles_and_all_points(results):
    entropy = lab_plots.entropy_scatter(lab_rows.entropy_points(results), lab_rows.scheme_titles())
    titled(entropy)
    assert sum(len(t.x) for t in entropy.data) == 250
    depth = lab_plots.depth_figure(*lab_rows.depth_rows(results), "mean of the six")
    titled(depth)
    assert [t.name for t in depth.data] == [
        "NAN",
        "L1 norm",
        "Sparsity",
        "active, ID",
        "active, OOD",
    ]
    width = lab_plots.width_figure(lab_rows.width_points(results), "noise")
    titled(width)
    assert list(width.layout.xaxis.tickvals) == [8, 16, 32, 64, 128, 256, 512]
    one = lab_plots.one_class_figure(lab_rows.one_class_points(results))
    titled(one)
    assert list(one.data[0].x) == [str(i) for i in range(8)]


def test_nan_gain_keeps_the_order_of_sets_and_joins_norm_and_nan(results):
    rows = lab_rows.nan_rows(results)
    figure = plots.nan_gain(rows, list(OOD_SETS), "title")
    titled(figure)
    nan = next(t for t in figure.data if t.name == "NAN")
    assert list(nan.y) == list(OOD_SETS)
    np.testing.assert_allclose(nan.x, 87.0)
    joins = [t for t in figure.data if t.mode == "lines"]
    np.testing.assert_allclose(joins[0].x, [82.0, 87.0])
