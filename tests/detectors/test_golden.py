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
    ("kl_uniform", "kl", {}),
    ("odin_eps0_T1000", "odin", {"temperature": 1000}),
    ("gradnorm", "gradnorm", {}),
    ("gen_g0.1", "gen", {"gamma": 0.1}),
    ("mds", "mahalanobis", {}),
    ("ssd_1cluster", "ssd", {}),
    ("knn_k5", "knn", {"k": 5}),
    ("vim_dim5", "vim", {"dim": 5}),
    ("residual_dim5", "residual", {"dim": 5}),
    ("react_p90_energy", "react", {"percentile": 90}),
    ("dice_p70", "dice", {"p": 70}),
    ("dice70_react90", "react_dice", {"p": 70, "percentile": 90}),
    ("ash_p_p50", "ash_p", {"p": 50}),
    ("ash_b_p50", "ash_b", {"p": 50}),
    ("ash_s_p50", "ash_s", {"p": 50}),
    ("scale_p50", "scale", {"p": 50}),
    ("nnguide_k5", "nnguide", {"k": 5}),
    ("fdbd", "fdbd", {}),
    ("she", "she", {}),
    ("norm_l1", "feature_norm", {"p": 1}),
    ("norm_l2", "feature_norm", {"p": 2}),
    ("sparsity", "sparsity", {}),
    ("nan", "nan", {}),
    ("nan_knn_k5", "nan+knn", {"k": 5}),
    ("nan_ssd", "nan+ssd", {}),
    ("nan_react_p90", "nan+react", {"percentile": 90}),
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


def test_every_golden_score_is_tested(golden):
    assert {c[0] for c in CASES} == set(golden.expected)
