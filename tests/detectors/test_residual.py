"""Residual against the projection on the discarded directions."""

from __future__ import annotations

import numpy as np

from ood_core.detectors import make_detector


def test_norm_in_the_residual_space(small):
    u = -np.linalg.pinv(small.W) @ small.b
    x = small.h_fit - u
    _, vectors = np.linalg.eigh(x.T @ x)
    top = vectors[:, -5:]
    outside = (small.h - u) - (small.h - u) @ top @ top.T
    found = make_detector("residual", dim=5).fit(small.fit, small.head).score_samples(small.test)
    np.testing.assert_allclose(found, -np.linalg.norm(outside, axis=1), rtol=1e-8)


def test_without_a_head_the_origin_is_the_mean_of_the_fit_features(small):
    u = small.h_fit.mean(axis=0)
    _, _, vt = np.linalg.svd(small.h_fit - u)
    outside = (small.h - u) - (small.h - u) @ vt[:5].T @ vt[:5]
    detector = make_detector("residual", dim=5).fit(small.fit)
    found = detector.score_samples(small.test)
    np.testing.assert_allclose(found, -np.linalg.norm(outside, axis=1), rtol=1e-8)
    assert any("No head" in w for w in detector.warnings_)
