"""What the lab trains."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.theory.lab import SCHEMES, Run, full_plan
from ood_core.theory.lab.plan import EPOCHS, HIDDEN, SEEDS, SNAPSHOTS, WIDTHS
from ood_core.theory.lab.vectors import OOD_SETS, lab_images, standardised


def test_plan_holds_every_setting_once():
    plan = full_plan()
    assert len({run.name for run in plan}) == len(plan)
    schemes = [run for run in plan if run.compares_schemes]
    assert {(r.scheme, r.seed) for r in schemes} == {(s, k) for s in SCHEMES for k in SEEDS}
    widths = {r.width for r in plan if r.scheme == "supervised"}
    assert widths == set(WIDTHS)
    assert {r.only_class for r in plan} == {None, *range(8)}
    assert {r.snapshots for r in plan} == {SNAPSHOTS, (EPOCHS,)}
    assert HIDDEN in WIDTHS


@pytest.mark.parametrize(
    ("scheme", "outputs"),
    [("supervised", 3), ("instance", 6), ("random_binary", 2), ("one_label", 2)],
)
def test_labels_of_each_scheme(scheme, outputs):
    true = np.array([0, 1, 2, 2, 1, 0])
    labels, n = Run(scheme).labels(true)
    assert n == outputs
    assert labels.dtype == np.int64
    expected = {"supervised": true, "instance": np.arange(6), "one_label": np.zeros(6)}
    if scheme in expected:
        np.testing.assert_array_equal(labels, expected[scheme])


def test_random_labels_are_fair_and_belong_to_the_seed():
    true = np.zeros(1000, np.int64)
    first, again, other = (Run("random_binary", seed).labels(true)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert 0.4 < first.mean() < 0.6


def test_images_have_mean_zero_and_equal_contrast():
    images = lab_images()
    assert tuple(images.ood) == OOD_SETS
    for x in (images.fit, images.test, images.ood["held-out"]):
        assert x.dtype == np.float64
        assert x.shape[1] == 64
        np.testing.assert_allclose(x.mean(1), 0, atol=1e-5)
        np.testing.assert_allclose(x.std(1), 1, atol=0.05)
    assert set(np.unique(images.fit_labels)) == set(range(8))


def test_a_flat_image_stays_short():
    flat = np.full((1, 8, 8), 90, np.uint8)
    assert np.abs(standardised(flat)).max() == 0
    nearly = flat.copy()
    nearly[0, 0, 0] += 1
    assert standardised(nearly).std() < 0.1
