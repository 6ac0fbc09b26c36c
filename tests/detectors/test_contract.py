"""The contract suite over every detector, and the suite itself on detectors that break it."""

from __future__ import annotations

import re
from typing import ClassVar

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import Detector, all_detectors, detector_class, make_detector
from ood_core.detectors._toy import Toy
from ood_core.detectors.contract import CHECKS, check_detector
from ood_core.errors import ConfigError

NAMES = [*all_detectors(), "nan+mahalanobis", "nan+residual", "feature_norm+react+knn"]


@pytest.fixture(scope="module")
def toy() -> Toy:
    return Toy.make()


@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    failed = {r.check: r.message for r in check_detector(name) if not r.passed}
    assert failed == {}


@pytest.mark.parametrize("name", NAMES)
def test_own_detectors_do_not_depend_on_the_batch_to_nine_digits(toy, name):
    detector = make_detector(name)
    detector.fit(toy.fit, toy.suited_to(detector.needs).head)
    whole = detector.score_samples(toy.zero)
    parts = [detector.score_samples(part) for part in toy.zero.chunks(9)]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_constraint_and_a_label(name):
    cls = type(make_detector(name))
    assert set(cls.constraints) == set(cls.defaults())
    assert all(rule.label and rule.describe() for rule in cls.constraints.values())


def test_all_detectors_of_the_design_are_found():
    parts = "line feature_norm sparsity msp max_logit energy kl odin gen gradnorm fdbd she vim"
    more = "nnguide mahalanobis ssd knn residual react dice react_dice ash_p ash_b ash_s scale"
    nan = "negative_aware_norm"
    fused = f"{nan} {nan}+knn {nan}+ssd {nan}+react {nan}+react+knn {nan}+react+ssd"
    assert set(f"{parts} {more} {fused}".split()) <= set(all_detectors())


class Sloppy(Detector):
    name = "sloppy"
    title = "Sloppy"
    summary = "Breaks what can be broken."
    equation = "S"
    reference = "none"
    needs: ClassVar[frozenset[str]] = frozenset()

    def _fit(self, acts, head):
        self.mean_ = acts.features.mean()

    def _score(self, acts):
        return acts.features.sum(axis=1)


def failures(cls: type[Detector]) -> dict[str, str]:
    return {r.check: r.message for r in check_detector(cls) if not r.passed}


def test_a_sound_detector_fails_only_what_it_breaks():
    # A class inside a test module can be pickled only where the module can be imported.
    assert set(failures(Sloppy)) <= {"a pickled copy scores the same"}


FLAWS = {
    "scores do not depend on the batch": (
        lambda a: a.features.sum(1) - a.features.mean(),
        "scoring 1 at a time",
    ),
    "scores are finite or -inf, for an all-zero image too": (
        lambda a: 1 / a.features.sum(1),
        r"infinite|row 17 is all zero",
    ),
    "scores have shape (n,) and are float64": (
        lambda a: a.features,
        r"returned shape \(61, 24\) for 61 samples",
    ),
    "higher means more in-distribution": (lambda a: -a.features.sum(1), "sign flipped"),
    "activations are not changed": (lambda a: a.features.__imul__(2).sum(1), "read-only"),
    "without head, logits or labels it runs or says what it lacks": (
        lambda a: a.logits.max(1),
        "with head and labels alone it must run or declare in needs what it lacks; AttributeError",
    ),
    "same input, same scores": (lambda a: np.random.default_rng().random(len(a)), "61 of 61"),
}


@pytest.mark.parametrize("check", FLAWS)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_the_suite_names_what_is_broken(check):
    score, message = FLAWS[check]
    broken = type("Broken", (Sloppy,), {"_score": lambda self, acts: score(acts)})
    found = failures(broken)
    assert check in found
    assert re.search(message, found[check])


def test_a_detector_that_needs_a_model_cannot_be_checked():
    needy = type("Needy", (Sloppy,), {"needs": frozenset({"model"})})
    with pytest.raises(ConfigError, match="activations only"):
        check_detector(needy)


def test_check_detector_of_an_unknown_name():
    with pytest.raises(ConfigError, match=r"unknown detector 'nam'. Did you mean 'nan'"):
        check_detector("nam")


def test_checks_have_titles():
    assert len(CHECKS) == 20


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_how_activations_are_stored_does_not_matter(toy, name, dtype):
    """The same values, stored narrow or wide, give the same scores: arithmetic is float64."""

    def stored(acts, kind):
        features, logits = (a.astype(dtype).astype(kind) for a in (acts.features, acts.logits))
        return Activations.from_arrays(features, logits, acts.labels)

    found, expected = (
        make_detector(name)
        .fit(stored(toy.fit, kind), toy.suited_to(detector_class(name).needs).head)
        .score_samples(stored(toy.zero, kind))
        for kind in (dtype, np.float64)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
