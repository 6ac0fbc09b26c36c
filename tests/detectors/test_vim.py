"""ViM and its residual space against the published steps."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import make_detector
from ood_core.detectors._subspace import default_dim
from ood_core.errors import ConfigError
from ood_core.models import ClassifierHead


def slow_vim(s, dim):
    u = -np.linalg.pinv(s.W) @ s.b
    x = s.h_fit - u
    _, vectors = np.linalg.eigh(x.T @ x / len(x))
    rest = vectors[:, : s.W.shape[1] - dim]
    alpha = s.z_fit.max(axis=1).mean() / np.linalg.norm(x @ rest, axis=1).mean()
    energy = np.log(np.exp(s.z).sum(axis=1))
    return energy - alpha * np.linalg.norm((s.h - u) @ rest, axis=1)


@pytest.mark.parametrize("dim", [1, 5, 9])
def test_energy_minus_virtual_logit(small, dim):
    found = make_detector("vim", dim=dim).fit(small.fit, small.head).score_samples(small.test)
    np.testing.assert_allclose(found, slow_vim(small, dim), rtol=1e-9)


def test_default_dim_is_half(small):
    default = make_detector("vim").fit(small.fit, small.head).score_samples(small.test)
    np.testing.assert_allclose(default, slow_vim(small, 6), rtol=1e-9)
    assert [default_dim(d) for d in (2048, 768, 512, 1)] == [1000, 512, 256, 1]


@pytest.mark.parametrize("name", ["vim", "residual"])
def test_dim_must_leave_a_residual_direction(small, name):
    with pytest.raises(ConfigError, match=r"'dim' must be below the number of features \(12\)"):
        make_detector(name, dim=12).fit(small.fit, small.head)


@pytest.mark.parametrize("name", ["vim", "residual"])
def test_an_empty_residual_space_is_an_error_not_nan(small, name):
    head = ClassifierHead(small.W)  # origin 0: the dead unit leaves 11 directions
    with pytest.raises(ConfigError, match=r"'dim' must be below 11, the number of directions"):
        make_detector(name, dim=11).fit(small.fit, head)


def test_negative_logits_are_warned_of(small):
    low = Activations.from_arrays(small.h_fit, small.z_fit - 100, small.labels)
    detector = make_detector("vim").fit(low, small.head)
    assert "alpha is not positive" in detector.warnings_[0]
