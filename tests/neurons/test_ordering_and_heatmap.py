"""Display order and binned windows of class x neuron contributions, against slow oracles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ood_core.errors import ConfigError, DataError
from ood_core.neurons import ORDERS, Order, contribution_view, seriate

RNG = np.random.default_rng(0)


def _names(c: int) -> tuple[str, ...]:
    return tuple(f"k{i}" for i in range(c))


@pytest.mark.parametrize("how", ORDERS)
@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (6, 40), (3, 600)])
def test_every_order_is_a_permutation(how: str, shape: tuple[int, int]) -> None:
    order = seriate(RNG.normal(size=shape), how)
    assert sorted(order.classes) == list(range(shape[0]))
    assert sorted(order.neurons) == list(range(shape[1]))


def test_by_class_draws_a_staircase() -> None:
    contrib = RNG.normal(size=(5, 60))
    order = seriate(contrib, "class")
    place = {c: i for i, c in enumerate(order.classes)}
    steps = [place[contrib[:, j].argmax()] for j in order.neurons]
    assert steps == sorted(steps)
    for _, run in itertools.groupby(order.neurons, key=lambda j: contrib[:, j].argmax()):
        strength = [contrib[:, j].max() for j in run]
        assert strength == sorted(strength, reverse=True)


def test_clusters_put_alike_classes_side_by_side() -> None:
    base = RNG.normal(size=(3, 50))
    contrib = np.repeat(base, 3, axis=0) + 0.01 * RNG.normal(size=(9, 50))
    contrib = contrib[[0, 3, 6, 1, 4, 7, 2, 5, 8]]  # groups 0 1 2 0 1 2 0 1 2
    groups = [c % 3 for c in seriate(contrib, "clustered").classes]
    assert len(list(itertools.groupby(groups))) == 3


def test_dead_neurons_do_not_break_the_order() -> None:
    contrib = RNG.normal(size=(4, 10))
    contrib[:, 3] = 0
    assert sorted(seriate(contrib, "clustered").neurons) == list(range(10))


def test_order_errors() -> None:
    with pytest.raises(ConfigError, match=r"unknown order 'clusterd'\. Did you mean 'clust"):
        seriate(np.ones((2, 2)), "clusterd")
    with pytest.raises(DataError, match=r"must have shape \(classes, neurons\), got \(3,\)"):
        seriate(np.ones(3))
    with pytest.raises(DataError, match="NaN or infinite"):
        seriate(np.full((2, 2), np.nan))


@pytest.mark.parametrize(("c", "d", "cells"), [(4, 30, 1000), (7, 53, 60), (200, 9, 300)])
def test_cells_show_the_strongest_entry_that_is_kept_and_the_share_removed(
    c: int, d: int, cells: int
) -> None:
    contrib = RNG.normal(size=(c, d))
    removed = RNG.random((c, d)) < 0.4
    order = seriate(contrib, "class")
    view = contribution_view(contrib, order, _names(c), removed, 1, d - 1, max_cells=cells)
    assert view.values.size <= max(cells, len(view.rows))
    assert view.removed is not None
    for i, rows in enumerate(view.rows):
        for j, columns in enumerate(view.columns):
            block = contrib[np.ix_(rows, columns)].ravel()
            kept = block[~removed[np.ix_(rows, columns)].ravel()]
            best = max(kept if len(kept) else block, key=abs)
            np.testing.assert_allclose(view.values[i, j], best, rtol=1e-6)
            share = removed[np.ix_(rows, columns)].mean()
            np.testing.assert_allclose(view.removed[i, j], share)
    assert view.largest == np.abs(contrib).max()
    if c * d <= cells:
        assert view.limit == view.largest
    assert np.concatenate(view.columns).tolist() == order.neurons[1 : d - 1].tolist()
    assert view.per_cell == max(map(len, view.rows)) * max(map(len, view.columns))


def test_small_matrices_are_shown_entry_by_entry() -> None:
    contrib = RNG.normal(size=(10, 342))
    view = contribution_view(contrib, Order(np.arange(10), np.arange(342)), _names(10))
    assert view.per_cell == 1
    np.testing.assert_allclose(view.values, contrib, rtol=1e-6)
    assert view.labels == _names(10)
    assert view.removed is None


def test_chosen_classes_keep_the_order() -> None:
    contrib = RNG.normal(size=(5, 8))
    order = Order(np.array([4, 2, 0, 1, 3]), np.arange(8))
    view = contribution_view(contrib, order, _names(5), classes=np.array([0, 4]))
    assert view.labels == ("k4", "k0")


def test_imagenet_shape_is_small() -> None:
    contrib = RNG.normal(size=(1000, 2048))
    order = Order(np.arange(1000), np.arange(2048))
    view = contribution_view(contrib, order, _names(1000), contrib < 0)
    assert view.values.size <= 28_000
    assert view.labels[0] == "k0 … k6"


def test_a_few_giants_do_not_turn_a_large_map_grey() -> None:
    contrib = RNG.normal(size=(1000, 400))
    contrib[3, 7] = 500.0
    order = Order(np.arange(1000), np.arange(400))
    view = contribution_view(contrib, order, _names(1000))
    assert view.largest == 500.0
    assert view.limit < 6
    assert np.mean(np.abs(view.values) <= view.limit) == pytest.approx(0.99, abs=1e-3)
    part = contribution_view(contrib, order, _names(1000), contrib < 0, 10, 20)
    assert part.limit == view.limit  # colours hold across windows and masks


@pytest.mark.parametrize("share", [0.9, 0.999, 1.0])
def test_only_cells_without_any_kept_entry_are_faded(share: float) -> None:
    contrib = RNG.normal(size=(1000, 400))
    removed = RNG.random((1000, 400)) < share
    order = Order(np.arange(1000), np.arange(400))
    view = contribution_view(contrib, order, _names(1000), removed)
    assert view.removed is not None
    assert view.removed_percent is not None
    np.testing.assert_array_equal(view.removed_percent == 100, view.removed == 1)


def test_view_errors() -> None:
    contrib, order = np.ones((2, 4)), Order(np.arange(2), np.arange(4))
    with pytest.raises(DataError, match="0 <= start < stop <= 4, got 3-3"):
        contribution_view(contrib, order, _names(2), start=3, stop=3)
    with pytest.raises(DataError, match=r"mask of shape \(1, 4\)"):
        contribution_view(contrib, order, _names(2), np.ones((1, 4), bool))
    with pytest.raises(DataError, match="no class left"):
        contribution_view(contrib, order, _names(2), classes=np.array([], int))
