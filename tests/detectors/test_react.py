"""ReAct against clipping row by row."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import make_detector
from ood_core.errors import ConfigError


def slow_react(s, c):
    return [np.log(np.exp(s.W @ np.minimum(x, c) + s.b).sum()) for x in s.h]


@pytest.mark.parametrize("p", [50, 90, 100])
def test_energy_of_clipped_features(small, p):
    detector = make_detector("react", percentile=p).fit(small.fit, small.head)
    assert detector.clip_ == np.percentile(small.h_fit, p)
    found = detector.score_samples(small.test)
    np.testing.assert_allclose(found, slow_react(small, detector.clip_), rtol=1e-12)


def test_a_given_clip_replaces_the_percentile(small):
    detector = make_detector("react", clip=0.25).fit(small.fit, small.head)
    np.testing.assert_allclose(detector.score_samples(small.test), slow_react(small, 0.25))


def test_signed_features_are_warned_of(small):
    signed = Activations.from_arrays(small.h_fit - 0.1, name="gelu")
    detector = make_detector("react").fit(signed, small.head)
    assert "images of 'gelu' have negative activations" in detector.warnings_[0]


def test_percentile_is_checked():
    with pytest.raises(ConfigError, match=r"'percentile' must be a number in \[0, 100\], got 101"):
        make_detector("react", percentile=101)
