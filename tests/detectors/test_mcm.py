"""MCM against its definition, max softmax and pytorch-ood."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ood_core import Activations, ClassifierHead, make_detector
from ood_core.errors import DataError

RNG = np.random.default_rng(3)
H, T = RNG.normal(size=(40, 12)), RNG.normal(size=(5, 12))


def oracle(tau: float) -> list[float]:
    scores = []
    for h in H:
        cosines = [
            sum(a * b for a, b in zip(h, t, strict=True))
            / math.sqrt(sum(a * a for a in h))
            / math.sqrt(sum(b * b for b in t))
            for t in T
        ]
        powers = [math.exp(s / tau) for s in cosines]
        scores.append(max(powers) / sum(powers))
    return scores


def zero_shot(own: float) -> tuple[Activations, ClassifierHead]:
    """What a zero-shot head at temperature `own` records."""
    features = H / np.linalg.norm(H, axis=1, keepdims=True)
    weight = T / np.linalg.norm(T, axis=1, keepdims=True) / own
    head = ClassifierHead(weight, temperature=own)
    return Activations.from_arrays(features, head.logits(features)), head


@pytest.mark.parametrize("own", [0.01, 0.07, 1.0])
@pytest.mark.parametrize("tau", [0.05, 1.0, 3.0])
def test_definition_whatever_the_heads_own_temperature(own: float, tau: float) -> None:
    acts, head = zero_shot(own)
    found = make_detector("mcm", temperature=tau).fit(acts, head).score_samples(acts)
    np.testing.assert_allclose(found, oracle(tau), rtol=1e-11)


def test_at_the_heads_own_temperature_it_is_max_softmax() -> None:
    acts, head = zero_shot(0.05)
    mcm = make_detector("mcm", temperature=0.05).fit(acts, head).score_samples(acts)
    msp = make_detector("msp").fit(acts, head).score_samples(acts)
    np.testing.assert_array_equal(mcm, msp)
    other = make_detector("mcm").fit(acts, head).score_samples(acts)
    assert abs(other - msp).max() > 0.1


def test_as_published() -> None:
    published = pytest.importorskip("pytorch_ood.detector.mcm")
    torch = pytest.importorskip("torch")
    acts, head = zero_shot(0.01)
    theirs = published.MCM(None, torch.from_numpy(T)).predict_features(torch.from_numpy(H))
    ours = make_detector("mcm").fit(acts, head).score_samples(acts)
    np.testing.assert_allclose(ours, -theirs.numpy(), rtol=1e-6)


def test_it_needs_a_zero_shot_head() -> None:
    acts, head = zero_shot(0.01)
    with pytest.raises(DataError, match=r"it needs a zero-shot head: text = …"):
        make_detector("mcm").fit(acts, ClassifierHead(head.weight))


def test_norms_of_features_of_length_one_are_warned_of() -> None:
    acts, head = zero_shot(0.01)
    norm = make_detector("feature_norm", p=2).fit(acts, head)
    assert any("choose the layer 'embedding'" in w for w in norm.warnings_)
    plain = make_detector("feature_norm", p=2).fit(acts, ClassifierHead(head.weight))
    assert not any("embedding" in w for w in plain.warnings_)
