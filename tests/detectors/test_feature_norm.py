"""Feature norms of vectors and maps, pooled and flat."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import make_detector
from ood_core.errors import ConfigError, DataError


@pytest.mark.parametrize("p", [0.5, 1, 2, 3, 40, np.inf])
def test_any_order(small, p):
    found = make_detector("feature_norm", p=p).fit(small.fit).score_samples(small.test)
    expected = [max(abs(x)) if np.isinf(p) else (abs(x) ** p).sum() ** (1 / p) for x in small.h]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("p", [1, 2])
def test_flat_and_pooled_norms_of_maps(mapped, p):
    acts, maps = mapped
    flat = make_detector("feature_norm", p=p, layer="conv", pool="flat").fit(acts)
    pooled = make_detector("feature_norm", p=p, layer="conv", pool="gap").fit(acts)
    whole = np.linalg.norm(maps.reshape(len(maps), -1), ord=p, axis=1)
    means = np.linalg.norm(maps.mean(axis=(2, 3)), ord=p, axis=1)
    np.testing.assert_allclose(flat.score_samples(acts), whole, rtol=1e-12)
    np.testing.assert_allclose(pooled.score_samples(acts), means, rtol=1e-12)


def test_flat_norms_of_other_orders_are_refused_at_fit(mapped):
    acts, _ = mapped
    with pytest.raises(
        ConfigError, match=r"'flat' has norms of order p = 1 and p = 2 only, got p = 3"
    ):
        make_detector("feature_norm", p=3, layer="conv", pool="flat").fit(acts)


def test_an_unknown_layer_is_an_error(small):
    with pytest.raises(DataError, match=r"unknown layer 'block9'. Available: penultimate"):
        make_detector("feature_norm", layer="block9").fit(small.fit)


def test_pool_is_checked():
    with pytest.raises(ConfigError, match=r"'pool' must be one of 'gap', 'flat', got 'max'"):
        make_detector("feature_norm", pool="max")


@pytest.mark.parametrize("p", [0.5, 1, 2, 3, 60, float("inf")])
def test_the_torch_form_takes_every_order(small, p):
    import torch

    fitted = make_detector("feature_norm", p=p).fit(small.fit)
    h = np.concatenate([small.h, 1e6 * small.h[:2], -small.h[:2]])
    with torch.no_grad():
        found = fitted.torch_form()(torch.tensor(h), torch.zeros(len(h), 2)).numpy()
    expected = fitted.score_samples(Activations.from_arrays(h))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
