"""DICE against the masked sum, and its extremes."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.detectors import make_detector
from ood_core.errors import ConfigError


def slow_dice(s, p):
    v = s.W * s.h_fit.mean(axis=0)
    cut = np.percentile(v, p)
    masked = np.array([[w if x > cut else 0.0 for w, x in zip(ws, vs, strict=True)]
                       for ws, vs in zip(s.W, v, strict=True)])  # fmt: skip
    return [np.log(np.exp(masked @ x + s.b).sum()) for x in s.h]


@pytest.mark.parametrize("p", [0, 37.5, 90])
def test_energy_with_a_sparse_head(small, p):
    found = make_detector("dice", p=p).fit(small.fit, small.head).score_samples(small.test)
    np.testing.assert_allclose(found, slow_dice(small, p), rtol=1e-12)


def test_removing_everything_gives_a_constant_and_says_so(small):
    detector = make_detector("dice", p=100).fit(small.fit, small.head)
    scores = detector.score_samples(small.test)
    assert np.ptp(scores) == 0
    assert "All 20 images of 'test' get the same score" in detector.warnings_[-1]


def test_p_is_checked():
    with pytest.raises(ConfigError, match=r"'p' must be a number in \[0, 100\], got -1"):
        make_detector("dice", p=-1)
