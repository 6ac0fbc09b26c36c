"""NAN against the mean of the active units; its warnings."""

from __future__ import annotations

import numpy as np

from ood_core.activations import Activations
from ood_core.detectors import make_detector


def test_mean_of_the_active_units(small):
    found = make_detector("nan").fit(small.fit).score_samples(small.test)
    expected = [x[x > 0].mean() if (x > 0).any() else 0.0 for x in small.h]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_it_scales_with_the_activation(small):
    detector = make_detector("nan").fit(small.fit)
    triple = Activations.from_arrays(3 * small.h)
    np.testing.assert_allclose(
        detector.score_samples(triple), 3 * detector.score_samples(small.test), rtol=1e-12
    )


def test_flat_and_pooled_differ_on_maps(mapped):
    acts, maps = mapped
    flat = make_detector("nan", layer="conv", pool="flat").fit(acts).score_samples(acts)
    pooled = make_detector("nan", layer="conv", pool="gap").fit(acts).score_samples(acts)
    np.testing.assert_allclose(flat, [m[m > 0].mean() for m in maps], rtol=1e-12)
    means = maps.mean(axis=(2, 3))
    np.testing.assert_allclose(pooled, [m[m > 0].mean() for m in means], rtol=1e-12)
    assert not np.allclose(flat, pooled)


def test_silent_images_are_counted(small):
    detector = make_detector("nan").fit(small.fit)
    assert detector.score_samples(small.test)[3] == 0
    assert detector.warnings_ == ["1 of 20 images of 'test' have no active unit; their NAN is 0."]


def test_it_says_when_it_is_the_plain_norm_in_disguise(small):
    dense = Activations.from_arrays(small.h_fit + 0.1, name="dense")
    detector = make_detector("nan").fit(dense)
    assert "mean 12 of 12, variation 0.0 %" in detector.warnings_[0]
    assert make_detector("nan").fit(small.fit).warnings_ == []


def test_signed_activations_are_warned_of(small):
    signed = Activations.from_arrays(small.h_fit - 0.2, name="gelu")
    detector = make_detector("nan").fit(signed)
    assert any(
        "90 of 90 images of 'gelu' have negative activations" in w for w in detector.warnings_
    )


def test_warnings_are_logged_once(small, caplog):
    detector = make_detector("nan").fit(small.fit)
    detector.score_samples(small.test)
    detector.score_samples(small.test)
    assert len([r for r in caplog.records if "no active unit" in r.getMessage()]) == 1
