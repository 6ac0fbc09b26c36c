"""ASH-B against shaping row by row."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.detectors import make_detector


def slow_shape(x, k):
    keep = np.zeros(len(x), bool)
    keep[np.argsort(-x, kind="stable")[:k]] = True
    return np.where(keep, x.sum() / k, 0.0)


@pytest.mark.parametrize(("p", "k"), [(50, 6), (0, 12), (62.5, 4), (95, 1)])
def test_energy_of_the_shaped_feature(small, p, k):
    expected = [np.log(np.exp(small.W @ slow_shape(x, k) + small.b).sum()) for x in small.h]
    found = make_detector("ash_b", p=p).fit(small.fit, small.head).score_samples(small.test)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
