"""LINe's masks against the percentile over the whole class x class x unit tensor."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.detectors import line_masks as module
from ood_core.detectors.line_masks import line_masks
from ood_core.errors import StoppedError


def slow_masks(contributions, weight, p_a, p_w):
    units = np.array([row > np.percentile(row, p_a) for row in contributions])
    products = [np.abs(row) * weight for row in contributions]
    return units, np.array([m > np.percentile(m, p_w) for m in products])


def case(c, d, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((c, d))
    contributions = weight * np.maximum(rng.standard_normal((c, d)) + 0.3, 0)
    return contributions, weight


@pytest.mark.parametrize("p_w", [0, 1, 10, 37.5, 50, 90, 99, 100])
@pytest.mark.parametrize("p_a", [0, 10, 90, 100])
def test_masks_equal_the_published_ones(p_a, p_w):
    contributions, weight = case(9, 31)
    units, weights = slow_masks(contributions, weight, p_a, p_w)
    masks = line_masks(contributions, weight, p_a, p_w)
    np.testing.assert_array_equal(masks.units, units)
    for c in range(9):
        np.testing.assert_array_equal(masks.weight_mask(c), weights[c])


@pytest.mark.parametrize("p_w", [0, 10, 50, 90, 100])
def test_the_bracketed_search_is_exact(p_w, monkeypatch):
    monkeypatch.setattr(module, "_GATHER", 200)
    contributions, weight = case(60, 40, seed=3)
    weights = slow_masks(contributions, weight, 50, p_w)[1]
    masks = line_masks(contributions, weight, 50, p_w)
    for c in range(60):
        np.testing.assert_array_equal(masks.weight_mask(c), weights[c])


@pytest.mark.parametrize("p_w", [10, 50, 90])
def test_ties_and_dead_units(p_w, monkeypatch):
    monkeypatch.setattr(module, "_GATHER", 100)
    rng = np.random.default_rng(4)
    weight = rng.integers(-2, 3, (50, 30)).astype(float)
    contributions = weight * rng.integers(0, 2, (50, 30))
    contributions[:, :9] = 0
    weights = slow_masks(contributions, weight, 10, p_w)[1]
    masks = line_masks(contributions, weight, 10, p_w)
    for c in range(50):
        np.testing.assert_array_equal(masks.weight_mask(c), weights[c])


def test_a_bracket_that_misses_is_widened(monkeypatch):
    monkeypatch.setattr(module, "_GATHER", 100)
    monkeypatch.setattr(
        module, "_bracket", lambda s, c, r: (np.full((len(s), 1), 9e9), np.full((len(s), 1), -9e9))
    )
    contributions, weight = case(20, 15)
    weights = slow_masks(contributions, weight, 10, 70)[1]
    masks = line_masks(contributions, weight, 10, 70)
    for c in range(20):
        np.testing.assert_array_equal(masks.weight_mask(c), weights[c])


def test_thresholds_are_the_order_statistics():
    contributions, weight = case(4, 25)
    masks = line_masks(contributions, weight, 40, 80)
    for c in range(4):
        products = np.sort((np.abs(contributions[c]) * weight).ravel())
        assert masks.weight_threshold[c] == products[int(0.8 * 99)]
        assert masks.unit_threshold[c] == np.sort(contributions[c])[int(0.4 * 24)]


def test_progress_is_told_and_a_stop_is_honoured(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 50)
    contributions, weight = case(20, 25)
    told = []
    line_masks(contributions, weight, progress=told.append)
    assert told[-1].done == told[-1].total == 20
    with pytest.raises(StoppedError, match="LINe masks"):
        line_masks(contributions, weight, should_stop=lambda: True)


def test_one_number_per_unit_replaces_the_tensor():
    contributions, weight = case(30, 40)
    masks = line_masks(contributions, weight)
    assert masks.cutoff.shape == masks.units.shape == (30, 40)
