"""Sparsity of vectors and maps; an image without active units scores 0."""

from __future__ import annotations

import numpy as np

from ood_core.detectors import make_detector


def test_inverse_count_of_active_units(small):
    found = make_detector("sparsity").fit(small.fit).score_samples(small.test)
    expected = [1 / (x > 0).sum() if (x > 0).any() else 0.0 for x in small.h]
    np.testing.assert_array_equal(found, expected)
    assert found[3] == 0


def test_flat_counts_positions_and_pooled_counts_channels(mapped):
    acts, maps = mapped
    flat = make_detector("sparsity", layer="conv", pool="flat").fit(acts).score_samples(acts)
    pooled = make_detector("sparsity", layer="conv", pool="gap").fit(acts).score_samples(acts)
    np.testing.assert_allclose(flat, 1 / (maps > 0).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(pooled, 1 / (maps.mean(axis=(2, 3)) > 0).sum(axis=1))


def test_silent_images_are_counted(small):
    detector = make_detector("sparsity").fit(small.fit)
    detector.score_samples(small.test)
    assert detector.warnings_ == ["1 of 20 images of 'test' have no active unit; their score is 0."]
