"""SCALE against scaling row by row."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.detectors import make_detector


@pytest.mark.parametrize(("p", "k"), [(50, 6), (85, 2)])
def test_energy_of_the_scaled_feature(small, p, k):
    expected = []
    for x in small.h:
        kept = np.sort(x)[::-1][:k].sum()
        factor = np.exp(x.sum() / kept) if kept > 0 else 1.0
        expected.append(np.log(np.exp(small.W @ (x * factor) + small.b).sum()))
    found = make_detector("scale", p=p).fit(small.fit, small.head).score_samples(small.test)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
