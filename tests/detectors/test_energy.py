"""Energy against the definition, at several temperatures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ood_core.detectors import make_detector
from ood_core.detectors.energy import energy_score
from ood_core.errors import ConfigError


@pytest.mark.parametrize("t", [0.5, 1.0, 10.0])
def test_log_sum_exp(small, t):
    expected = [t * math.log(sum(math.exp(v / t) for v in z)) for z in small.z]
    found = make_detector("energy", temperature=t).fit(small.fit).score_samples(small.test)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_huge_logits_do_not_overflow():
    np.testing.assert_allclose(energy_score(np.array([[1e4, 1e4]])), [1e4 + math.log(2)])


def test_temperature_must_be_positive():
    with pytest.raises(ConfigError, match=r"'temperature' must be a number above 0, got 0"):
        make_detector("energy", temperature=0)
