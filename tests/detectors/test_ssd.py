"""SSD against the published steps, one cluster and several."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.detectors import make_detector
from ood_core.errors import ConfigError


def unit(x):
    return x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-10)


def test_one_cluster(small):
    train = unit(small.h_fit)
    mean, std = train.mean(axis=0), train.std(axis=0)
    x = (train - mean) / (std + 1e-10)
    precision = np.linalg.pinv(np.cov(x.T, bias=True), hermitian=True)
    test = (unit(small.h) - mean) / (std + 1e-10) - x.mean(axis=0)
    detector = make_detector("ssd").fit(small.fit)
    found = detector.score_samples(small.test)
    np.testing.assert_allclose(found, [-t @ precision @ t for t in test], rtol=1e-9)
    assert "1 of 12 directions have no variance" in detector.warnings_[0]


def test_several_clusters_take_the_nearest(small):
    detector = make_detector("ssd", n_clusters=3).fit(small.fit)
    assert len(detector.clusters_) == 3
    x = (unit(small.h) - detector.mean_) / (detector.std_ + 1e-10)
    expected = [
        -min((((row - center) @ transform) ** 2).sum() for center, transform in detector.clusters_)
        for row in x
    ]
    np.testing.assert_allclose(detector.score_samples(small.test), expected, rtol=1e-9)


def test_more_clusters_than_images_is_an_error(small):
    with pytest.raises(ConfigError, match="n_clusters = 91 needs at least as many fit images"):
        make_detector("ssd", n_clusters=91).fit(small.fit)
