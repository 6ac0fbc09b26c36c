"""LINe's figures against a slow version: one image at a time, as a list of points."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.metrics.line_protocol import line_metrics


def slow(a, b) -> dict[str, float]:
    """Reject ever more scores; at each distinct score note TP and FP; join points by trapezoids."""
    cuts = [-np.inf, *np.unique(np.concatenate([a, b]))]
    tp = [int(np.sum(a > t)) if t > -np.inf else len(a) for t in cuts]
    fp = [int(np.sum(b > t)) if t > -np.inf else len(b) for t in cuts]
    inside = [(1.0, 0.5)] + [
        (t / len(a), t / (t + f)) for t, f in zip(tp, fp, strict=True) if t + f
    ]
    outside = [(0.0, 0.0)]
    for t, f in zip(tp, fp, strict=True):
        rejected = len(a) - t + len(b) - f
        if rejected:
            outside.append((1 - f / len(b), (len(b) - f) / rejected))
    return {
        "fpr95": np.mean(b > np.sort(a)[round(0.05 * len(a))]),
        "detection_error": min(len(a) - t + f for t, f in zip(tp, fp, strict=True))
        / (len(a) + len(b)),
        "aupr_in": _area([*inside, (0.0, 0.0)][::-1]),
        "aupr_out": _area([*outside, (1.0, 0.5)]),
    }  # fmt: skip


def _area(points) -> float:
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(points))


@pytest.mark.parametrize("seed", range(30))
def test_equals_the_slow_version(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, 80, 2)
    a = np.round(rng.normal(1, 1, n), seed % 3)
    b = np.round(rng.normal(0, 1, m), seed % 3)
    found = line_metrics(a, b)
    for name, value in slow(a, b).items():
        np.testing.assert_allclose(getattr(found, name), value, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(
        found.auroc, roc_auc_score(np.r_[np.ones(n), np.zeros(m)], np.r_[a, b]), atol=1e-12
    )


def test_its_known_faults_are_reproduced():
    assert line_metrics(np.ones(10), np.ones(10)).fpr95 == 0.0
    assert [round(0.05 * n) for n in (10, 30, 50, 70)] == [0, 2, 2, 4]
    found = line_metrics(np.arange(10.0), np.arange(10.0) - 0.5)
    assert found.fpr95 == 0.9
