"""ASH-P against shaping row by row."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.detectors import make_detector
from ood_core.detectors._arrays import keep_count, top_mask
from ood_core.errors import DataError


def slow_shape(x, k):
    keep = np.zeros(len(x), bool)
    keep[np.argsort(-x, kind="stable")[:k]] = True
    return np.where(keep, x, 0.0)


@pytest.mark.parametrize(("p", "k"), [(50, 6), (0, 12), (62.5, 4), (95, 1)])
def test_energy_of_the_shaped_feature(small, p, k):
    expected = [np.log(np.exp(small.W @ slow_shape(x, k) + small.b).sum()) for x in small.h]
    found = make_detector("ash_p", p=p).fit(small.fit, small.head).score_samples(small.test)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_kept_count_rounds_half_to_even():
    assert [keep_count(342, 75), keep_count(8, 50), keep_count(10, 25)] == [86, 4, 8]


def test_ties_are_kept_from_the_left():
    h = np.array([[1.0, 1.0, 1.0, 0.0], [0.0, 2.0, 0.0, 0.0]])
    np.testing.assert_array_equal(
        top_mask(h, 2), [[True, True, False, False], [True, True, False, False]]
    )


def test_pruning_everything_keeps_one_unit_and_warns(small):
    detector = make_detector("ash_p", p=100).fit(small.fit, small.head)
    assert detector.warnings_ == ["p = 100 would prune all 12 units; the largest one is kept."]
    assert np.ptp(detector.score_samples(small.test)) > 0


def test_keeping_none_is_an_error():
    with pytest.raises(DataError, match="cannot keep 0 of 4 units"):
        top_mask(np.zeros((1, 4)), 0)
