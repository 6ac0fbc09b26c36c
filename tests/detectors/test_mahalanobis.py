"""Mahalanobis against the pseudo-inverse, with a dead unit and missing classes."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import make_detector
from ood_core.errors import DataError


def slow(h_fit, labels, h):
    classes = np.unique(labels[labels >= 0])
    means = {c: h_fit[labels == c].mean(axis=0) for c in classes}
    rest = np.stack([x - means[y] for x, y in zip(h_fit, labels, strict=True) if y >= 0])
    precision = np.linalg.pinv(rest.T @ rest / len(rest), hermitian=True)
    return [-min((x - m) @ precision @ (x - m) for m in means.values()) for x in h]


def test_nearest_class(small):
    detector = make_detector("mahalanobis").fit(small.fit)
    found = detector.score_samples(small.test)
    np.testing.assert_allclose(found, slow(small.h_fit, small.labels, small.h), rtol=1e-9)
    assert any("1 of 12 directions have no variance" in w for w in detector.warnings_)


def test_a_tiny_activation_of_a_dead_unit_does_not_decide(small):
    detector = make_detector("mahalanobis").fit(small.fit)
    awake = small.h.copy()
    awake[:, 4] = 1e-3
    found = detector.score_samples(Activations.from_arrays(awake))
    np.testing.assert_allclose(found, detector.score_samples(small.test), rtol=1e-9)


def test_unlabelled_rows_and_missing_classes_are_left_out(small):
    labels = np.where(small.labels == 2, -1, small.labels)
    fit = Activations.from_arrays(small.h_fit, small.z_fit, labels, name="fit")
    detector = make_detector("mahalanobis").fit(fit, small.head)
    found = detector.score_samples(small.test)
    np.testing.assert_allclose(found, slow(small.h_fit, labels, small.h), rtol=1e-9)
    assert "1 of 5 classes have no image in 'fit': 2." in detector.warnings_
    unknown = f"{(labels < 0).sum()} of {len(labels)} images of 'fit' have no label"
    assert any(w.startswith(unknown) for w in detector.warnings_)


def test_without_head_and_logits_nobody_knows_of_classes_that_are_missing(small):
    of_one = small.labels == 3
    fit = Activations.from_arrays(small.h_fit[of_one], labels=small.labels[of_one], name="fit")
    detector = make_detector("mahalanobis").fit(fit)
    assert not any("classes have no image" in w for w in detector.warnings_)
    assert len(detector.means_) == 1


def test_a_label_beyond_the_classes_is_an_error(small):
    fit = Activations.from_arrays(small.h_fit, small.z_fit, small.labels + 1)
    with pytest.raises(DataError, match=r"label 5 does not fit 5 classes \(0 to 4"):
        make_detector("mahalanobis").fit(fit, small.head)


@pytest.mark.parametrize("labels", [None, "unknown"])
@pytest.mark.parametrize("headless", [True, False])
def test_without_labels_all_images_are_one_class(small, labels, headless):
    given = None if labels is None else np.full(len(small.h_fit), -1)
    fit = Activations.from_arrays(small.h_fit, None, given, name="fit")
    detector = make_detector("mahalanobis").fit(fit, None if headless else small.head)
    expected = slow(small.h_fit, np.zeros(len(small.h_fit), int), small.h)
    np.testing.assert_allclose(detector.score_samples(small.test), expected, rtol=1e-9)
    assert "'fit' has no labels: one mean and one covariance for all images." in detector.warnings_
