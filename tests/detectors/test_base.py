"""What the base class checks for every detector."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import make_detector
from ood_core.errors import ConfigError, DataError, NotFittedError


def test_a_failed_fit_leaves_the_detector_unfitted(small):
    detector = make_detector("knn", k=50).fit(small.fit)
    with pytest.raises(ConfigError):
        detector.fit(small.test)
    with pytest.raises(NotFittedError, match=r"'knn' is not fitted: call fit\(acts, head\) first"):
        detector.score_samples(small.test)


def test_a_parameter_changed_after_construction_is_checked_at_fit(small):
    detector = make_detector("line")
    detector.p_a = 200
    with pytest.raises(ConfigError, match=r"'line': parameter 'p_a' must be .*, got 200"):
        detector.fit(small.fit, small.head)


def test_an_unknown_parameter_names_the_closest():
    with pytest.raises(ConfigError, match=r"'line' has no parameter 'pa'. Did you mean 'p_a'"):
        make_detector("line", pa=10)
    with pytest.raises(ConfigError, match=r"'msp' has no parameter 't'. It takes no parameters"):
        make_detector("msp", t=2)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("react", "needs the classifier's head"),
        ("she", r"needs logits \(or the head"),
        ("line", "needs the classifier's head"),
    ],
)
def test_what_is_missing_is_said(small, name, reason):
    bare = Activations.from_arrays(small.h_fit)
    detector = make_detector(name)
    assert detector.unavailable_reason(bare) is not None
    with pytest.raises(DataError, match=reason):
        detector.fit(bare)


def test_an_empty_fit_set_is_an_error(small):
    with pytest.raises(DataError, match="the fit set is empty"):
        make_detector("ssd").fit(small.fit.take(slice(0, 0)))


def test_a_detector_can_be_shown_and_copied():
    detector = make_detector("line", p_a=10)
    assert repr(detector) == "Line(p_w=90.0, p_a=10, clip=1.0, contrib='signed')"
    assert detector.get_params() == {"p_w": 90.0, "p_a": 10, "clip": 1.0, "contrib": "signed"}


def test_constant_scores_are_warned_of(small):
    same = Activations.from_arrays(np.ones((8, 12)), np.ones((8, 5)), name="grey")
    detector = make_detector("msp").fit(small.fit)
    detector.score_samples(same)
    assert detector.warnings_ == [
        "All 8 images of 'grey' get the same score (0.2): it cannot tell them apart."
    ]


def test_unlabelled_classes_listed_are_few(small):
    labels = np.zeros(90, dtype=int)
    many = Activations.from_arrays(small.h_fit, np.ones((90, 40)), labels, name="fit")
    detector = make_detector("mahalanobis").fit(many)
    assert any("39 of 40 classes" in w and w.endswith("10 and more.") for w in detector.warnings_)


def test_images_with_only_zero_features_are_counted(small):
    detector = make_detector("react").fit(small.fit, small.head)
    detector.score_samples(small.test)
    assert detector.warnings_ == ["1 of 20 images of 'test' have only zero features."]
    plain = make_detector("energy").fit(small.fit)
    plain.score_samples(small.test)
    assert plain.warnings_ == []


def test_logits_of_another_head_cannot_be_scored(small):
    detector = make_detector("vim").fit(small.fit, small.head)
    other = Activations.from_arrays(small.h, small.z[:, :3], name="other")
    with pytest.raises(DataError, match=r"head has 5 classes and the logits of 'other' have 3"):
        detector.score_samples(other)
