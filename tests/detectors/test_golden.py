"""Every published score against golden vectors that were checked with released code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ood_core.detectors import make_detector

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("msp", "msp", {}),
    ("maxlogit", "max_logit", {}),
    ("energy", "energy", {}),
    ("norm_l1", "feature_norm", {"p": 1}),
    ("norm_l2", "feature_norm", {"p": 2}),
    ("sparsity", "sparsity", {}),
    ("nan", "nan", {}),
    ("line_pw90_pa90_d1.0", "line", {"p_w": 90, "p_a": 90, "clip": 1.0}),
    ("line_pw90_pa10_d1.0", "line", {"p_w": 90, "p_a": 10, "clip": 1.0}),
    ("line_pw10_pa10_d1.0", "line", {"p_w": 10, "p_a": 10, "clip": 1.0}),
]


@pytest.mark.parametrize(("key", "name", "params"), CASES, ids=[c[0] for c in CASES])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(np.float64, {"rtol": 1e-9, "atol": 1e-9}), (np.float32, {"rtol": 1e-5})],
)
def test_golden_scores(golden, key, name, params, dtype, tolerance):
    fit, test = golden.activations(dtype)
    detector = make_detector(name, **params).fit(fit, golden.head)
    np.testing.assert_allclose(detector.score_samples(test), golden.expected[key], **tolerance)
