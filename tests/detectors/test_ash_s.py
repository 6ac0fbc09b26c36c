"""ASH-S against shaping row by row."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.detectors import make_detector
from ood_core.detectors._shaping import scale_factor


def slow_shape(x, k):
    keep = np.zeros(len(x), bool)
    keep[np.argsort(-x, kind="stable")[:k]] = True
    total, kept = x.sum(), x[keep].sum()
    factor = np.exp(total / kept) if kept > 0 else 1.0
    return np.where(keep, x, 0.0) * factor


@pytest.mark.parametrize(("p", "k"), [(50, 6), (0, 12), (62.5, 4), (95, 1)])
def test_energy_of_the_shaped_feature(small, p, k):
    expected = [np.log(np.exp(small.W @ slow_shape(x, k) + small.b).sum()) for x in small.h]
    found = make_detector("ash_s", p=p).fit(small.fit, small.head).score_samples(small.test)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_extreme_ratio_stays_finite():
    factor = scale_factor(np.array([[1e6], [5.0]]), np.array([[1.0], [5.0]]))
    assert np.isfinite(factor).all()
    np.testing.assert_allclose(factor[1], np.e)
