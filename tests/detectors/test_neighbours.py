"""Exact neighbours: the float32 screen must never show in the result."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.detectors import _neighbours
from ood_core.detectors._arrays import unit_rows
from ood_core.detectors._neighbours import Bank
from ood_core.detectors.knn import unit_bank


def slow_kth(bank, queries, k):
    squared = [((unit_rows(bank) - q) ** 2).sum(axis=1) for q in queries]
    return [np.sqrt(np.sort(row)[k - 1]) for row in squared]


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.maximum(np.random.default_rng(0).standard_normal((6000, 20)), 0)


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return unit_rows(np.maximum(np.random.default_rng(1).standard_normal((40, 20)), 0))


@pytest.mark.parametrize("k", [1, 3, 50, 400, 5999])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_kth_distance_of_a_large_bank(rows, queries, k, dtype):
    bank = rows.astype(dtype)
    found = unit_bank(bank).kth_distance(queries, k)
    np.testing.assert_allclose(found, slow_kth(bank.astype(float), queries, k), rtol=1e-12)


def test_neighbours_closer_than_float32_can_tell(queries):
    rng = np.random.default_rng(2)
    bank = np.repeat(queries, 200, axis=0) + 1e-5 * rng.standard_normal((8000, 20))
    for k in (1, 40, 199, 201):
        found = unit_bank(bank).kth_distance(queries, k)
        np.testing.assert_allclose(found, slow_kth(bank, queries, k), rtol=1e-9)


def test_copies_of_one_row_are_settled_in_float64(queries, monkeypatch):
    exact = []
    original = Bank._by_float64
    monkeypatch.setattr(
        Bank, "_by_float64", lambda self, q, n: exact.append(len(q)) or original(self, q, n)
    )
    bank = np.tile(queries[:1], (5000, 1))
    found = Bank(bank, np.ones(5000)).kth_distance(queries, 9)
    np.testing.assert_allclose(found, np.linalg.norm(queries - queries[0], axis=1), atol=1e-15)
    assert sum(exact) == len(queries)


def test_few_queries_need_float64_on_ordinary_data(rows, queries, monkeypatch):
    exact = []
    original = Bank._by_float64
    monkeypatch.setattr(
        Bank, "_by_float64", lambda self, q, n: exact.append(len(q)) or original(self, q, n)
    )
    unit_bank(rows.copy()).kth_distance(queries, 20)
    assert sum(exact) <= len(queries) // 4


@pytest.mark.parametrize("k", [1, 10, 100])
def test_top_mean_of_a_large_bank(rows, queries, k):
    factor = np.random.default_rng(3).uniform(-1, 5, len(rows))
    found = Bank(rows, factor).top_mean(queries, k)
    expected = [np.sort((rows * factor[:, None]) @ q)[-k:].mean() for q in queries]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_all_zero_rows_and_queries_keep_their_distance(rows):
    bank = rows.copy()
    bank[:30] = 0
    queries = np.vstack([np.zeros(20), unit_rows(rows[100:103])])
    for k in (1, 30, 31, 2000):
        found = unit_bank(bank).kth_distance(queries, k)
        np.testing.assert_allclose(found, slow_kth(bank, queries, k), rtol=1e-12, atol=1e-12)


def test_chunks_and_threads_do_not_change_the_result(rows, queries, monkeypatch):
    many = np.repeat(queries, 3, axis=0)
    expected = unit_bank(rows).kth_distance(many, 5)
    monkeypatch.setattr(_neighbours, "_KEYS", len(rows) * 8)
    np.testing.assert_array_equal(unit_bank(rows).kth_distance(many, 5), expected)
