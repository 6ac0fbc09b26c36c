"""KL to uniform against the sum that defines it."""

from __future__ import annotations

import numpy as np

from ood_core.detectors import make_detector
from ood_core.detectors.kl import kl_uniform_score


def test_divergence_of_uniform_from_prediction(small):
    expected = []
    for z in small.z:
        p = np.exp(z) / np.exp(z).sum()
        u = 1 / len(z)
        expected.append(sum(u * np.log(u / q) for q in p))
    found = make_detector("kl").fit(small.fit).score_samples(small.test)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_an_undecided_prediction_scores_zero():
    np.testing.assert_allclose(kl_uniform_score(np.full((1, 7), 3.0)), [0.0], atol=1e-15)
