"""fDBD against the loop over classes, duplicate rows included."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import make_detector
from ood_core.detectors.fdbd import inverse_weight_distances
from ood_core.errors import DataError
from ood_core.models import ClassifierHead


def slow_fdbd(h, head, mean):
    out = []
    for x, z in zip(h, head.logits(h), strict=True):
        y, total = z.argmax(), 0.0
        for c in range(len(z)):
            gap = np.linalg.norm(head.weight[y] - head.weight[c])
            total += (z[y] - z[c]) / gap if gap > 0 else 0.0
        out.append(total / (len(z) - 1) / max(np.linalg.norm(x - mean), 1e-12))
    return out


def test_mean_distance_to_the_boundaries(small):
    found = make_detector("fdbd").fit(small.fit, small.head).score_samples(small.test)
    expected = slow_fdbd(small.h, small.head, small.h_fit.mean(axis=0))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_two_classes_with_one_weight_row(small):
    head = ClassifierHead(np.vstack([small.W, small.W[:1]]), np.append(small.b, 0.5))
    fit = Activations.from_arrays(small.h_fit, head.logits(small.h_fit))
    test = Activations.from_arrays(small.h, head.logits(small.h))
    detector = make_detector("fdbd").fit(fit, head)
    expected = slow_fdbd(small.h, head, small.h_fit.mean(axis=0))
    np.testing.assert_allclose(detector.score_samples(test), expected, rtol=1e-9)
    assert detector.warnings_[0] == "2 classes share their weight row with another class."


def test_nearly_equal_rows_are_not_lost_in_rounding():
    w = np.array([[1e3, 1.0], [1e3, 1.0 + 1e-7], [0.0, 5.0]])
    assert inverse_weight_distances(w)[0, 1] == pytest.approx(1e7, rel=1e-6)


def test_head_and_activations_must_fit(small):
    head = ClassifierHead(np.ones((3, 12)))
    with pytest.raises(DataError, match=r"the head has 3 classes and the logits of 'fit' have 5"):
        make_detector("fdbd").fit(small.fit, head)
    with pytest.raises(DataError, match=r"the head takes 7 features and 'fit' has 12"):
        make_detector("fdbd").fit(small.fit, ClassifierHead(np.ones((5, 7))))
