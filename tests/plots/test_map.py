from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ood_core.errors import DataError
from ood_core.plots.map import MOST_POINTS, drawn_rows, feature_map
from ood_core.plots.theme import ID_COLOUR, ood_colour


def frame(n_id: int, n_ood: int) -> pd.DataFrame:
    r = np.random.default_rng(0)
    sets = ["test"] * n_id + ["near"] * (n_ood // 2) + ["far"] * (n_ood - n_ood // 2)
    x, y = r.normal(size=(2, len(sets)))
    return pd.DataFrame({"set": sets, "index": range(len(sets)), "x": x, "y": y})


def test_sets_keep_their_colours_and_every_point_is_drawn_when_few() -> None:
    figure = feature_map(frame(30, 20), id_set="test", ood_order=["near", "far"])
    assert [t.name for t in figure.data] == ["ID (test)", "near", "far"]
    assert [t.marker.color for t in figure.data] == [ID_COLOUR, ood_colour(0), ood_colour(1)]
    assert [len(t.x) for t in figure.data] == [30, 10, 10]
    assert figure.layout.xaxis.title.text.startswith("component 1")


@pytest.mark.parametrize("colour", ["set", "class", "score", "verdict"])
def test_150000_points_stay_below_250_kb(colour: str) -> None:
    data = frame(50_000, 100_000)
    r = np.random.default_rng(1)
    values = pd.Series(
        {"class": r.integers(0, 100, len(data)), "score": r.normal(size=len(data))}.get(
            colour, r.random(len(data)) < 0.5
        )
    )
    figure = feature_map(
        data, id_set="test", ood_order=["near", "far"], colour=colour, values=values
    )
    assert len(figure.to_json()) < 250_000
    assert sum(len(t.x) for t in figure.data) > 10_900


def test_a_thinned_map_keeps_the_share_of_each_set() -> None:
    data = frame(50_000, 100_000)
    counts = drawn_rows(data).groupby("set").size()
    assert counts.sum() <= MOST_POINTS
    np.testing.assert_allclose(counts / counts.sum(), 1 / 3, atol=0.001)


def test_minus_infinity_scores_are_drawn_at_the_low_end() -> None:
    data = frame(30, 20)
    values = pd.Series(np.linspace(0, 1, 50))
    values[3] = -np.inf
    figure = feature_map(data, id_set="test", ood_order=["near"], colour="score", values=values)
    assert np.isfinite(np.asarray(figure.data[0].marker.color)).all()


def test_colour_without_values_is_an_error() -> None:
    with pytest.raises(DataError, match="colouring the map by class needs `values`"):
        feature_map(frame(5, 5), id_set="test", ood_order=["near", "far"], colour="class")


def test_of_many_classes_the_most_frequent_have_a_colour() -> None:
    rows = frame(60, 40)
    numbers = pd.Series([*range(40), *([7] * 30), *([900] * 30)], index=rows.index)
    figure = feature_map(
        rows, id_set="test", ood_order=["near", "far"], colour="class", values=numbers
    )
    names = [trace.name for trace in figure.data]
    assert len(names) == 16
    assert names[0] == "26 other classes"
    assert {"class 7", "class 900"} <= set(names)
    assert sum(len(trace.x) for trace in figure.data) == len(rows)
