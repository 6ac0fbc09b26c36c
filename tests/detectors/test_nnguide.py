"""NNGuide against the sorted inner products."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import make_detector
from ood_core.errors import ConfigError


@pytest.mark.parametrize("k", [1, 4, 90])
def test_energy_times_guidance(small, k):
    def unit(x):
        return x / (np.linalg.norm(x) + 1e-10)

    energy_fit = np.log(np.exp(small.z_fit).sum(axis=1))
    energy = np.log(np.exp(small.z).sum(axis=1))
    expected = []
    for x, e in zip(small.h, energy, strict=True):
        products = [unit(x) @ unit(y) * g for y, g in zip(small.h_fit, energy_fit, strict=True)]
        expected.append(np.sort(products)[-k:].mean() * e)
    found = make_detector("nnguide", k=k).fit(small.fit).score_samples(small.test)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_negative_energy_is_warned_of(small):
    low = Activations.from_arrays(small.h_fit, small.z_fit - 100, name="low")
    detector = make_detector("nnguide").fit(low)
    assert "90 of 90 images of 'low' have negative energy" in detector.warnings_[0]


def test_more_neighbours_than_images_is_an_error(small):
    with pytest.raises(ConfigError, match=r"'nnguide': parameter 'k' must be at most .* \(90\)"):
        make_detector("nnguide", k=91).fit(small.fit)
