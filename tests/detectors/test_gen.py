"""GEN against the definition, top classes only, and without the float32 clamp."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.detectors import make_detector
from ood_core.detectors.gen import gen_score
from ood_core.errors import ConfigError


def slow_gen(z, gamma, top):
    p = np.sort(np.exp(z - z.max()) / np.exp(z - z.max()).sum())[::-1][:top]
    return -sum(q**gamma * (1 - q) ** gamma for q in p)


@pytest.mark.parametrize(("gamma", "top"), [(0.1, 100), (0.5, 2), (1.0, 1), (0.1, 5)])
def test_generalised_entropy(small, gamma, top):
    found = make_detector("gen", gamma=gamma, top=top).fit(small.fit).score_samples(small.test)
    np.testing.assert_allclose(found, [slow_gen(z, gamma, top) for z in small.z], rtol=1e-9)


def test_a_confident_prediction_keeps_its_score():
    # p = 1 - 1e-9: float32 would give 0.
    z = np.array([[0.0, np.log(1e-9)]])
    np.testing.assert_allclose(gen_score(z), [-2 * 1e-9**0.1], rtol=1e-6)


def test_parameters_are_checked():
    with pytest.raises(ConfigError, match=r"'top' must be a whole number of at least 1, got 1.5"):
        make_detector("gen", top=1.5)
    with pytest.raises(ConfigError, match=r"'gamma' must be a number in \(0, 1\], got 2"):
        make_detector("gen", gamma=2)
