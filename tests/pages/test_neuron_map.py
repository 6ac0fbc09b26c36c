"""What the map of contributions sends to the browser."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from ood_core.neurons import Order, contribution_view, seriate
from pages.components.charts.neuron_map import map_data

RNG = np.random.default_rng(4)
NAMES = ("cat", "dog", "owl", "elk", "emu")
CONTRIBUTIONS = RNG.normal(size=(5, 24))


def unpacked(text: str, kind: str, rows: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind).reshape(rows, -1)


def test_it_holds_contributions_and_what_line_removes() -> None:
    order = seriate(CONTRIBUTIONS, "class")
    removed = CONTRIBUTIONS < 0.2
    data = map_data(contribution_view(CONTRIBUTIONS, order, NAMES, removed), "x", marked=7)
    place = np.ix_(order.classes, order.neurons)
    np.testing.assert_allclose(unpacked(data["values"], "<f4", 5), CONTRIBUTIONS[place], rtol=1e-6)
    np.testing.assert_array_equal(unpacked(data["removed"], "u1", 5), 100 * removed[place])
    assert data["columns"] == [str(j) for j in order.neurons]
    assert data["labels"] == [NAMES[c] for c in order.classes]
    assert data["limit"] == np.abs(CONTRIBUTIONS).max()
    assert data["marked"] == [order.neurons.tolist().index(7)]
    assert "faded" in data["title"]
    plain = map_data(contribution_view(CONTRIBUTIONS, order, NAMES), "x")
    assert (plain["removed"], plain["marked"]) == ("", [])
    assert "faded" not in plain["title"]


@pytest.mark.parametrize(("c", "d"), [(10, 342), (100, 342), (1000, 2048)])
def test_it_stays_small(c: int, d: int) -> None:
    contributions = RNG.normal(size=(c, d))
    names = tuple(f"a class with a rather long name {i}" for i in range(c))
    view = contribution_view(
        contributions, Order(np.arange(c), np.arange(d)), names, contributions < 0
    )
    data = map_data(view, "x")
    assert len(json.dumps(data)) < 250_000
    if view.per_cell > 1:
        rows, columns = data["sizes"]
        assert (sum(rows), sum(columns)) == (c, d)
        assert max(rows) * max(columns) == view.per_cell
        assert "to a column" in data["x_title"]
