"""MSP against the definition, and where float32 would tie."""

from __future__ import annotations

import math

import numpy as np

from ood_core.detectors import make_detector
from ood_core.detectors.msp import msp_score


def test_largest_probability(small):
    expected = [max(math.exp(v) for v in z) / sum(math.exp(v) for v in z) for z in small.z]
    found = make_detector("msp").fit(small.fit).score_samples(small.test)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_confident_float32_logits_stay_apart():
    z = np.array([[20.0, 0.0], [21.0, 0.0], [22.0, 0.0]], dtype=np.float32)
    assert len(set(msp_score(z))) == 3


def test_huge_logits_do_not_overflow():
    np.testing.assert_allclose(msp_score(np.array([[1e4, 0.0], [-1e4, -1e4]])), [1.0, 0.5])
