"""GradNorm against autograd."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.detectors import make_detector


def test_closed_form_equals_the_gradient(small):
    torch = pytest.importorskip("torch")
    expected = []
    for h in small.h:
        weight = torch.tensor(small.W, requires_grad=True)
        z = weight @ torch.tensor(h) + torch.tensor(small.b)
        loss = -torch.log_softmax(z, 0).mean()
        (gradient,) = torch.autograd.grad(loss, weight)
        expected.append(gradient.abs().sum().item())
    found = make_detector("gradnorm").fit(small.fit).score_samples(small.test)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
