"""ODIN from logits, and with a perturbed forward pass."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.detectors import make_detector
from ood_core.detectors.odin import odin_score, perturbed_logits
from ood_core.errors import DataError


def test_softmax_at_a_high_temperature(small):
    expected = [np.exp(z / 1000).max() / np.exp(z / 1000).sum() for z in small.z]
    found = make_detector("odin").fit(small.fit).score_samples(small.test)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_it_ranks_by_largest_minus_mean_logit(small):
    found = make_detector("odin").fit(small.fit).score_samples(small.test)
    margin = small.z.max(axis=1) - small.z.mean(axis=1)
    np.testing.assert_allclose(found, (1 + margin / 1000) / 5, atol=1e-5)
    assert len(set(found)) == len(found)


def test_epsilon_needs_a_forward_pass(small):
    with pytest.raises(DataError, match=r"epsilon = 0.0014 needs a forward pass.*use_model"):
        make_detector("odin", epsilon=0.0014).fit(small.fit)


def test_the_forward_pass_must_return_logits(small):
    detector = make_detector("odin", epsilon=0.1).use_model(lambda acts, e, t: np.zeros(3))
    with pytest.raises(DataError, match=r"logits of shape \(20, classes\), got \(3,\)"):
        detector.fit(small.fit).score_samples(small.test)


def test_perturbed_logits_follow_the_gradient():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 4)).eval().double()
    images = torch.randn(6, 3, 2, 2, dtype=torch.float64)
    std = (0.5, 0.2, 0.1)
    found = perturbed_logits(net, images, 0.05, 1000.0, std)
    for i, image in enumerate(images):
        x = image[None].clone().requires_grad_(True)
        z = net(x)[0] / 1000.0
        (-torch.log_softmax(z, 0)[z.argmax()]).backward()
        moved = x.detach() - 0.05 * x.grad.sign() / torch.tensor(std, dtype=x.dtype).view(
            1, 3, 1, 1
        )
        np.testing.assert_allclose(found[i], net(moved)[0].detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(
        perturbed_logits(net, images, 0.0), net(images).detach().numpy(), rtol=1e-12
    )


def test_scores_come_from_the_perturbed_images(small):
    moved = small.z + 1.0 * np.arange(5)
    detector = make_detector("odin", epsilon=0.01).use_model(lambda acts, e, t: moved)
    found = detector.fit(small.fit).score_samples(small.test)
    np.testing.assert_array_equal(found, odin_score(moved, 1000.0))
