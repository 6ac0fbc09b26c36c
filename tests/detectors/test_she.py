"""SHE against the class means of correct images, with its fallbacks."""

from __future__ import annotations

import numpy as np

from ood_core.activations import Activations
from ood_core.detectors import make_detector


def test_inner_product_with_the_predicted_pattern(small):
    right = small.z_fit.argmax(axis=1) == small.labels
    patterns = [small.h_fit[right & (small.labels == c)].mean(axis=0) for c in range(5)]
    expected = [x @ patterns[z.argmax()] for x, z in zip(small.h, small.z, strict=True)]
    detector = make_detector("she").fit(small.fit)
    assert detector.warnings_ == []
    np.testing.assert_allclose(detector.score_samples(small.test), expected, rtol=1e-12)


def test_classes_never_predicted_or_missing_fall_back(small):
    z = small.z_fit.copy()
    z[:, 1] = -100  # class 1 is never predicted
    labels = np.where(small.labels == 2, -1, small.labels)  # class 2 has no labelled image
    fit = Activations.from_arrays(small.h_fit, z, labels, name="fit")
    detector = make_detector("she").fit(fit)
    np.testing.assert_allclose(detector.templates_[1], small.h_fit[labels == 1].mean(axis=0))
    np.testing.assert_allclose(detector.templates_[2], small.h_fit.mean(axis=0))
    assert any("2 of 5 classes have no correctly classified image" in w for w in detector.warnings_)
