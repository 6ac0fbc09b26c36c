"""Fusions: the quotient itself, its options, and the grammar."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import all_detectors, detector_class, make_detector
from ood_core.errors import ConfigError


def scores(small, name, **params):
    return make_detector(name, **params).fit(small.fit, small.head).score_samples(small.test)


def quotient(distance, norm):
    return np.array([-np.inf if n == 0 else -d / n for d, n in zip(distance, norm, strict=True)])


def clipped_nan(small, c):
    return [np.minimum(x, c)[x > 0].mean() if (x > 0).any() else 0.0 for x in small.h]


def test_nan_knn_divides_the_distance(small):
    expected = quotient(-scores(small, "knn", k=4), scores(small, "nan"))
    np.testing.assert_allclose(scores(small, "nan+knn", k=4), expected)
    assert expected[3] == -np.inf  # the all-zero image


def test_squared_is_an_option_whose_default_is_the_distances_own(small):
    nan, knn, ssd = (scores(small, n) for n in ("nan", "knn", "ssd"))
    np.testing.assert_allclose(scores(small, "nan+knn", squared=True), quotient(knn**2, nan))
    np.testing.assert_allclose(scores(small, "nan+ssd"), quotient(-ssd, nan))
    root = quotient(np.sqrt(-ssd), nan)
    np.testing.assert_allclose(scores(small, "nan+ssd", squared=False), root)
    assert detector_class("nan+knn").defaults()["squared"] is False
    assert detector_class("nan+ssd").defaults()["squared"] is True


def test_nan_react_is_nan_of_clipped_activations(small):
    c = np.percentile(small.h_fit, 75)
    found = scores(small, "nan+react", percentile=75)
    np.testing.assert_allclose(found, clipped_nan(small, c), rtol=1e-12)


def test_nan_react_knn_leaves_the_distance_unclipped_by_default(small):
    norm = clipped_nan(small, 0.5)
    expected = quotient(-scores(small, "knn", k=4), norm)
    np.testing.assert_allclose(scores(small, "nan+react+knn", k=4, clip=0.5), expected)
    h_fit, h = (Activations.from_arrays(np.minimum(a, 0.5)) for a in (small.h_fit, small.h))
    clipped = make_detector("knn", k=4).fit(h_fit).score_samples(h)
    found = scores(small, "nan+react+knn", k=4, clip=0.5, clip_distance=True)
    np.testing.assert_allclose(found, quotient(-clipped, norm))


def test_the_norm_can_come_from_another_layer(mapped):
    acts, maps = mapped
    means = maps.mean(axis=(2, 3))
    nan = np.array([m[m > 0].mean() for m in means])
    knn = make_detector("knn", k=2).fit(acts).score_samples(acts)
    found = make_detector("nan+knn", k=2, layer="conv").fit(acts).score_samples(acts)
    np.testing.assert_allclose(found, knn / nan, atol=1e-12)
    c = np.percentile(means, 60)
    clipped = [np.minimum(m, c)[m > 0].mean() for m in means]
    found = make_detector("nan+react", percentile=60, layer="conv").fit(acts).score_samples(acts)
    np.testing.assert_allclose(found, clipped)


def test_flat_maps_cannot_be_clipped(mapped):
    acts, _ = mapped
    with pytest.raises(ConfigError, match=r"'pool' must be 'gap' to clip a layer with 6 positions"):
        make_detector("nan+react", layer="conv", pool="flat").fit(acts)


def test_parts_in_any_order_are_one_fusion():
    assert detector_class("knn+react+nan") is detector_class("nan+react+knn")
    assert detector_class("ssd+nan") is all_detectors()["negative_aware_norm+ssd"]


def test_parameters_of_the_parts_are_its_own():
    fusion = make_detector("nan+react+knn", k=7, percentile=80)
    assert fusion.get_params() == {
        "layer": None,
        "pool": "gap",
        "percentile": 80,
        "clip": None,
        "k": 7,
        "squared": False,
        "clip_distance": False,
    }
    assert fusion.title == "NAN + ReAct + KNN"
    with pytest.raises(ConfigError, match=r"norm\+knn' has no parameter 'kk'. Did you mean 'k'"):
        make_detector("nan+knn", kk=3)
    with pytest.raises(ConfigError, match=r"'k' must be a whole number of at least 1, got 0"):
        make_detector("nan+knn", k=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "nan+msp",
            r"'msp' cannot take part. Norm: .*negative_aware_norm.*Clip: react. Distance: .*knn",
        ),
        ("nan+kn", r"fusion 'nan\+kn': no 'kn'. Norm:"),
        ("nan+knn+ssd", r"'knn' and 'ssd' are both a distance; one is allowed"),
        ("react+knn", r"needs one norm, and a clip or a distance"),
        ("nan+", r"no ''"),
    ],
)
def test_what_the_grammar_refuses(name, message):
    with pytest.raises(ConfigError, match=message):
        make_detector(name)


def test_warnings_of_the_parts_reach_the_fusion(small):
    detector = make_detector("nan+ssd").fit(small.fit, small.head)
    detector.score_samples(small.test)
    assert any("no variance" in w for w in detector.warnings_)
    assert any("1 of 20 images of 'test' have a norm of 0" in w for w in detector.warnings_)


def test_a_fitted_fusion_can_be_pickled(small):
    detector = make_detector("nan+react+ssd").fit(small.fit, small.head)
    copy = pickle.loads(pickle.dumps(detector))
    assert copy.get_params() == detector.get_params()
    np.testing.assert_array_equal(
        copy.score_samples(small.test), detector.score_samples(small.test)
    )


def test_parts_do_not_speak_for_themselves(small, caplog):
    detector = make_detector("nan+react+knn").fit(small.fit, small.head)
    caplog.clear()
    detector.score_samples(small.test)
    assert [record.getMessage() for record in caplog.records] == [
        "negative_aware_norm+react+knn: 1 of 20 images of 'test' have a norm of 0; their score is "
        "-inf."
    ]
