"""Paired AUROC differences against a slow oracle and by their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from ood_core import metrics
from ood_core.errors import DataError
from ood_core.metrics.paired import auroc_difference


def slow(id_a, ood_a, id_b, ood_b) -> tuple[float, float]:
    """Difference and standard error, pair by pair."""

    def wins(known, unknown):
        return np.array([[(x > y) + 0.5 * (x == y) for y in unknown] for x in known], float)

    apart = wins(id_a, ood_a) - wins(id_b, ood_b)
    n, m = apart.shape
    variance = apart.mean(1).var(ddof=1) / n + apart.mean(0).var(ddof=1) / m
    return apart.mean(), np.sqrt(variance)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rounded", [False, True])
def test_equals_every_pair_counted(seed: int, rounded: bool) -> None:
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, 40, 2)
    scores = [rng.normal(k % 2 == 0, 1, size) for k, size in enumerate((n, m, n, m))]
    scores[2] = scores[0] + rng.normal(0, 0.3, n)
    if rounded:
        scores = [np.round(s) for s in scores]
    value, error = slow(*scores)
    found = auroc_difference(*scores)
    assert found.value == pytest.approx(value, abs=1e-12)
    if 0 < metrics.auroc(*scores[:2]) < 1 or 0 < metrics.auroc(*scores[2:]) < 1:
        half = norm.ppf(0.975) * error
        assert found.low == pytest.approx(max(-1, value - half), abs=1e-12)
        assert found.high == pytest.approx(min(1, value + half), abs=1e-12)


def test_is_the_difference_of_the_two_aurocs() -> None:
    rng = np.random.default_rng(1)
    scores = [rng.normal(m, 1, n) for m, n in ((1, 300), (0, 200), (0.8, 300), (0, 200))]
    expected = metrics.auroc(*scores[:2]) - metrics.auroc(*scores[2:])
    assert auroc_difference(*scores).value == pytest.approx(expected, abs=1e-12)


def test_the_interval_covers_what_it_promises() -> None:
    """Two correlated normal scores: their true AUROCs are known in closed form."""
    rng = np.random.default_rng(2)
    true = norm.cdf(1.2 / np.sqrt(2)) - norm.cdf(1.0 / np.sqrt(2))
    inside = 0
    for _ in range(600):
        scores = []
        for size, known in ((120, 1), (90, 0)):
            common = rng.normal(0, 1, size)
            own = rng.normal(0, 1, (2, size))
            mixed = np.sqrt(0.8) * common + np.sqrt(0.2) * own
            scores.append((mixed[0] + 1.2 * known, mixed[1] + 1.0 * known))
        (id_a, id_b), (ood_a, ood_b) = scores
        found = auroc_difference(id_a, ood_a, id_b, ood_b)
        inside += found.low <= true <= found.high
    assert 0.93 <= inside / 600 <= 0.97


def test_order_of_the_images_matters_only_in_step() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(1, 1, (2, 50)), rng.normal(0, 1, (2, 40))
    order = rng.permutation(50)
    first = auroc_difference(a[0], b[0], a[1], b[1])
    again = auroc_difference(a[0][order], b[0], a[1][order], b[1])
    assert again == pytest.approx(first)


def test_where_no_error_shows_the_interval_has_width() -> None:
    known, unknown = np.arange(10.0) + 100, np.arange(20.0)
    found = auroc_difference(known, unknown, known * 2, unknown)
    assert found.value == 0
    assert found.high == -found.low == pytest.approx(1 - 0.025**0.1)


@pytest.mark.parametrize("known", [np.arange(10.0) + 100, np.arange(10.0) - 100])
def test_a_score_that_is_the_same_for_all_leaves_no_certainty(known: np.ndarray) -> None:
    found = auroc_difference(np.zeros(10), np.zeros(4), known, np.arange(4.0))
    assert abs(found.value) == 0.5
    half = 1 - 0.025**0.25
    ends = [max(-1.0, found.value - half), min(1.0, found.value + half)]
    assert [found.low, found.high] == pytest.approx(ends)
    assert found.low < 0 < found.high


def test_infinite_scores_are_compared() -> None:
    known, unknown = np.array([-np.inf, 1.0, 2.0]), np.array([-np.inf, -np.inf, 0.0])
    expected = metrics.auroc(known, unknown) - metrics.auroc(known + 1, unknown)
    assert auroc_difference(known, unknown, known + 1, unknown).value == pytest.approx(expected)


def test_one_image_tells_nothing() -> None:
    found = auroc_difference(np.ones(1), np.zeros(5), np.zeros(1), np.zeros(5))
    assert (found.low, found.high) == (-1.0, 1.0)


@pytest.mark.parametrize("sizes", [(3, 2, 4, 2), (3, 2, 3, 1), (0, 2, 0, 2), (3, 0, 3, 0)])
def test_other_images_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="same images"):
        auroc_difference(*(np.zeros(n) for n in sizes))


def test_equals_delong_by_covariances() -> None:
    """Against DeLong's formula written out: Var = Var(A) + Var(B) - 2 Cov(A, B)."""
    rng = np.random.default_rng(0)
    id_a, ood_a = rng.normal(1, 1, 60), rng.normal(0, 1, 45)
    id_b, ood_b = np.round(id_a + rng.normal(0, 1, 60)), np.round(ood_a + rng.normal(0, 1, 45))
    got = auroc_difference(id_a, ood_a, id_b, ood_b)

    def wins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x[:, None] > y).astype(float) + 0.5 * (x[:, None] == y)

    v = np.stack([wins(id_a, ood_a).mean(1), wins(id_b, ood_b).mean(1)])
    u = np.stack([wins(id_a, ood_a).mean(0), wins(id_b, ood_b).mean(0)])
    s = np.cov(v) / 60 + np.cov(u) / 45
    half = 1.959964 * np.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])
    assert got.high - got.value == pytest.approx(half)
    assert auroc_difference(id_a, ood_a, id_a, ood_a).high == 0
