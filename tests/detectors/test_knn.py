"""KNN against sorted distances, ties, zero rows, and what is remembered."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import Activations, LayerRecord
from ood_core.detectors import make_detector
from ood_core.detectors._neighbours import Bank
from ood_core.errors import ConfigError


def slow_knn(h, bank, k):
    def unit(x):
        return x / (np.linalg.norm(x) + 1e-10)

    return [-np.sort([np.linalg.norm(unit(x) - unit(y)) for y in bank])[k - 1] for x in h]


@pytest.mark.parametrize("k", [1, 7, 90])
def test_kth_distance(small, k):
    found = make_detector("knn", k=k).fit(small.fit).score_samples(small.test)
    np.testing.assert_allclose(found, slow_knn(small.h, small.h_fit, k), rtol=1e-9)


def test_zero_rows_of_the_fit_set_are_neighbours_too(small):
    bank = small.h_fit.copy()
    bank[:10] = 0
    fit = Activations.from_arrays(bank)
    for k in (1, 10, 11):
        found = make_detector("knn", k=k).fit(fit).score_samples(small.test)
        np.testing.assert_allclose(found, slow_knn(small.h, bank, k), rtol=1e-9, atol=1e-9)


def test_a_fit_image_is_its_own_neighbour(small):
    found = make_detector("knn", k=1).fit(small.fit).score_samples(small.fit)
    np.testing.assert_allclose(found, 0.0, atol=1e-15)


def test_more_neighbours_than_images_is_an_error(small):
    with pytest.raises(ConfigError, match=r"'k' must be at most the number of fit images \(90\)"):
        make_detector("knn", k=91).fit(small.fit)


def test_distances_between_stored_arrays_are_computed_once(small, monkeypatch):
    calls = []
    search = Bank.kth_distance
    monkeypatch.setattr(Bank, "kth_distance", lambda *a: calls.append(1) or search(*a))
    fit = Activations.from_arrays(small.h_fit)
    test = Activations.from_arrays(small.h)
    first = make_detector("knn", k=3).fit(fit).score_samples(test)
    make_detector("nan+knn", k=3).fit(fit).score_samples(test)
    again = make_detector("knn", k=3).fit(fit).score_samples(test)
    np.testing.assert_array_equal(first, again)
    assert len(calls) == 1
    make_detector("knn", k=4).fit(fit).score_samples(test)
    assert len(calls) == 2


def test_arrays_that_can_change_are_not_remembered(small):
    features = small.h.copy()
    test = Activations({"penultimate": LayerRecord.from_vectors(features)})
    detector = make_detector("knn", k=3).fit(small.fit)
    before = detector.score_samples(test)
    features[:] = features[::-1].copy()
    np.testing.assert_allclose(detector.score_samples(test), before[::-1], rtol=1e-9)


@pytest.mark.parametrize("k", [1, 3, 40])
def test_the_torch_form_holds_where_neighbours_almost_coincide(small, k):
    """Distances of 0 to 1e-3: `2 − 2·cos` would err by 1e-8, more than most of them."""
    import torch

    rng = np.random.default_rng(1)
    close = np.concatenate([small.h_fit[:1] + 10.0**-e * rng.random((1, 12)) for e in range(3, 10)])
    copies = small.h_fit[7:8].repeat(30, axis=0)
    bank = np.concatenate([small.h_fit, close, np.zeros((12, 12)), copies])
    fitted = make_detector("knn", k=k).fit(Activations.from_arrays(bank))
    queries = np.concatenate([bank, 3 * bank, close + 1e-9])
    expected = fitted.score_samples(Activations.from_arrays(queries))
    with torch.no_grad():
        found = fitted.torch_form()(torch.tensor(queries), torch.zeros(len(queries), 2)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-15)
    np.testing.assert_allclose(found, slow_knn(queries, bank, k), rtol=1e-5, atol=1e-15)
