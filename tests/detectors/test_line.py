"""LINe against the published steps, image by image."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import make_detector
from ood_core.detectors.line import group_rows, line_scores
from ood_core.errors import ConfigError, NotFittedError
from ood_core.models import ClassifierHead


def slow_contributions(s, contrib):
    rows = []
    for c in range(len(s.W)):
        mine = s.h_fit[s.labels == c]
        each = [s.W[c] * h for h in mine]
        rows.append(np.mean(np.abs(each) if contrib == "abs" else each, axis=0))
    return np.array(rows)


def slow_line(s, p_w, p_a, clip, contrib="signed"):
    contributions = slow_contributions(s, contrib)
    out = []
    for h in np.minimum(s.h, clip):
        c = (s.W @ h + s.b).argmax()
        unit_mask = contributions[c] > np.percentile(contributions[c], p_a)
        m = np.abs(contributions[c]) * s.W
        weight_mask = m > np.percentile(m, p_w)
        out.append(np.log(np.exp((s.W * weight_mask) @ (h * unit_mask) + s.b).sum()))
    return out


@pytest.mark.parametrize("contrib", ["signed", "abs"])
@pytest.mark.parametrize(
    ("p_w", "p_a", "clip"),
    [(90, 90, 1.0), (90, 10, 1.0), (10, 10, 0.8), (0, 0, 1e5), (37.5, 62.5, 0.5), (100, 100, 1.0)],
)
def test_scores(small, p_w, p_a, clip, contrib):
    params = {"p_w": p_w, "p_a": p_a, "clip": clip, "contrib": contrib}
    detector = make_detector("line", **params).fit(small.fit, small.head)
    np.testing.assert_allclose(detector.contributions_, slow_contributions(small, contrib))
    np.testing.assert_allclose(
        detector.score_samples(small.test), slow_line(small, **params), rtol=1e-12
    )


def test_masks_of_a_class(small):
    detector = make_detector("line", p_w=80, p_a=50).fit(small.fit, small.head)
    units, weights = detector.masks(2)
    assert units.shape == (12,)
    assert weights.shape == (5, 12)
    row = detector.contributions_[2]
    np.testing.assert_array_equal(units, row > np.percentile(row, 50))
    product = np.abs(row) * small.W
    np.testing.assert_array_equal(weights, product > np.percentile(product, 80))


def test_masks_before_fit_is_an_error():
    with pytest.raises(NotFittedError, match="'line' is not fitted"):
        make_detector("line").masks(0)


def test_retuned_equals_a_fresh_fit(small):
    detector = make_detector("line").fit(small.fit, small.head)
    other = detector.retuned(p_a=30, p_w=70, clip=0.6)
    fresh = make_detector("line", p_a=30, p_w=70, clip=0.6).fit(small.fit, small.head)
    np.testing.assert_array_equal(other.score_samples(small.test), fresh.score_samples(small.test))
    assert (detector.p_a, detector.p_w, detector.clip) == (90, 90, 1.0)
    assert detector.retuned(clip=2.0).masks_ is detector.masks_


def test_retuned_checks_its_parameters(small):
    detector = make_detector("line").fit(small.fit, small.head)
    with pytest.raises(ConfigError, match="cannot change contrib"):
        detector.retuned(contrib="abs")
    with pytest.raises(ConfigError, match=r"'p_a' must be a number in \[0, 100\], got 120"):
        detector.retuned(p_a=120)
    with pytest.raises(NotFittedError, match="not fitted"):
        make_detector("line").retuned(p_a=1)


def test_grouped_rows_serve_any_masks(small):
    rows = group_rows(small.h, small.head, clip=0.8)
    expected = small.head.logits(np.minimum(small.h, 0.8)).argmax(axis=1)
    np.testing.assert_array_equal(rows.predicted, expected)
    for p_a, p_w in ((10, 10), (90, 50)):
        detector = make_detector("line", p_a=p_a, p_w=p_w, clip=0.8).fit(small.fit, small.head)
        np.testing.assert_allclose(
            line_scores(rows, detector.masks_, small.b), detector.score_samples(small.test)
        )


def test_a_class_without_images_borrows_the_others_mean(small):
    labels = np.where(small.labels == 3, 1, small.labels)
    fit = Activations.from_arrays(small.h_fit, small.z_fit, labels, name="fit")
    detector = make_detector("line").fit(fit, small.head)
    means = [small.h_fit[labels == c].mean(axis=0) for c in (0, 1, 2, 4)]
    np.testing.assert_allclose(detector.contributions_[3], small.W[3] * np.mean(means, axis=0))
    assert "1 of 5 classes have no image in 'fit': 3." in detector.warnings_


def test_a_head_without_bias(small):
    head = ClassifierHead(small.W)
    detector = make_detector("line", p_w=0, p_a=0, clip=1e5).fit(small.fit, head)
    assert np.isfinite(detector.score_samples(small.test)).all()


def test_float32_features_are_scored_in_float64(small):
    narrow = Activations.from_arrays(small.h.astype(np.float32))
    wide = Activations.from_arrays(small.h.astype(np.float32).astype(float))
    detector = make_detector("line").fit(small.fit, small.head)
    np.testing.assert_array_equal(detector.score_samples(narrow), detector.score_samples(wide))


@pytest.mark.parametrize("params", [{"p_a": 0.0, "p_w": 0.0}, {"p_a": 100.0}, {"p_w": 100.0}])
@pytest.mark.parametrize("clip", [0.3, 1e5])
def test_the_torch_form_keeps_the_same_units_and_weights(small, params, clip):
    import torch

    fitted = make_detector("line", clip=clip, **params).fit(small.fit, small.head)
    with torch.no_grad():
        found = fitted.torch_form()(torch.tensor(small.h), torch.tensor(small.z)).numpy()
    np.testing.assert_allclose(found, fitted.score_samples(small.test), rtol=1e-12)


def test_classes_that_keep_fewer_units_are_filled_up_without_effect(small):
    """Contributions that tie leave a class fewer units than another: some slots hold none."""
    import torch

    weight = small.W.copy()
    weight[0] = np.abs(weight[0])
    weight[0, :9] = 0  # contributions of 0 tie at the threshold
    head = ClassifierHead(weight, small.b)
    fitted = make_detector("line", p_a=20.0, p_w=20.0).fit(small.fit, head)
    kept = fitted.masks_.units.sum(axis=1)
    assert kept.min() < kept.max()
    z = head.logits(small.h)
    with torch.no_grad():
        found = fitted.torch_form()(torch.tensor(small.h), torch.tensor(z)).numpy()
    expected = fitted.score_samples(Activations.from_arrays(small.h, z))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
