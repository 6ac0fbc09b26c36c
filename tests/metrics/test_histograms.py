"""Bins and cumulative counts are exact at every edge and every threshold, whatever the scores."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from ood_core.errors import ConfigError
from ood_core.metrics.counts import summarize
from ood_core.metrics.histograms import bin_scores, cumulative_counts

SHAPES = {
    "smooth": lambda r, n: r.normal(0, 1, n),
    "tied": lambda r, n: np.round(r.normal(0, 2, n)),
    "constant": lambda r, n: np.full(n, 5.0),
    "zero": lambda r, n: np.zeros(n),
    "tailed": lambda r, n: -np.exp(r.normal(0, 4, n)),
    "infinite": lambda r, n: np.where(r.random(n) < 0.3, -np.inf, r.normal(0, 1, n)),
    "all infinite": lambda r, n: np.full(n, -np.inf),
    "large": lambda r, n: 1e9 + r.normal(0, 1e-3, n),
    "small": lambda r, n: 1e-12 * r.normal(1, 1, n),
    "noise": lambda r, n: 1.0 + np.spacing(1.0) * r.integers(0, 3, n),
    "both ends": lambda r, n: r.choice([-np.inf, np.inf, 0.0, 1.0], n),
}


def make(shape: str, other: str):
    rng = np.random.default_rng(len(shape) * 31 + len(other))
    a, b = SHAPES[shape](rng, 3000), SHAPES[other](rng, 2000)
    return a, b, summarize(a), {"far": summarize(b)}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("other", SHAPES)
def test_bins_count_every_image_exactly_once(shape, other):
    a, b, known, ood = make(shape, other)
    bins = bin_scores(known, ood)
    assert (np.diff(bins.edges) > 0).all()
    assert len(bins.edges) <= 90
    cuts = [-np.inf, *bins.edges[1:-1], np.inf]
    for name, raw in (("ID", a), ("far", b)):
        slow = [np.sum((raw >= lo) & (raw < hi)) for lo, hi in pairwise(cuts)]
        slow[-1] += np.sum(raw == np.inf)
        assert bins.counts[name].tolist() == slow
        assert sum(slow) == len(raw)
        inside = (raw >= bins.edges[0]) & (raw < bins.edges[-1])
        assert inside.all() or bins.underflow or bins.overflow
        assert bins.minus_inf[name] == np.sum(raw == -np.inf)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("other", ["smooth", "tied", "infinite"])
def test_cumulative_counts_are_exact_at_every_threshold_of_the_grid(shape, other):
    a, b, known, ood = make(shape, other)
    bins = bin_scores(known, ood)
    extra = float(a[0])
    grid = cumulative_counts({"ID": known, **ood}, bins, points=500, include=[extra, np.inf])
    sent = json.loads(json.dumps(grid.thresholds.tolist()))
    assert (np.diff(sent) > 0).all()
    assert len(sent) <= 530
    assert extra in sent or not np.isfinite(extra)
    for name, raw in (("ID", a), ("far", b)):
        assert grid.accepted[name].tolist() == [np.sum(raw >= t) for t in sent]


def test_few_distinct_scores_are_the_grid_itself():
    known, ood = summarize([0.1, 0.2, 0.2, 0.7]), {"far": summarize([0.1, 0.3])}
    grid = cumulative_counts({"ID": known, **ood}, bin_scores(known, ood))
    assert {0.1, 0.2, 0.3, 0.7} <= set(grid.thresholds.tolist())
    assert len(grid.thresholds) == 6


def test_outliers_do_not_squeeze_the_picture():
    rng = np.random.default_rng(0)
    known = summarize(np.r_[rng.normal(0, 1, 5000), -1e6])
    bins = bin_scores(known, {"far": summarize(rng.normal(-1e5, 1, 100))})
    assert bins.underflow
    assert not bins.overflow
    assert bins.edges[0] > -50
    assert bins.counts["far"][0] == 100
    assert bins.label(0).startswith("below −")
    assert bins.note == f"First bar: 101 scores below {bins.edges[1]:.6g}.".replace("-", "−")
    assert bins.place(-1e5) == bins.centres[0]
    assert bins.place(0.5) == 0.5


def test_minus_infinity_has_a_bar_and_a_label():
    bins = bin_scores(summarize([1.0, 2.0, -np.inf]), {"far": summarize([-np.inf, 1.5])})
    assert bins.counts["far"][0] == 1
    assert bins.label(0).endswith("−inf")
    assert "2 of them −inf" in bins.note
    over = bin_scores(summarize([0.0, 1.0, np.inf]), {})
    assert over.overflow
    assert "Last bar: 1 scores" in over.note
    assert over.label(len(over.edges) - 2).endswith("and above")
    assert over.place(np.inf) == over.centres[-1]


def test_errors():
    known = summarize([1.0])
    with pytest.raises(ConfigError, match="bins must be at least 2, got 1"):
        bin_scores(known, {}, 1)
    with pytest.raises(ConfigError, match=r"points must be in \[2, 4096\], got 5000"):
        cumulative_counts({"ID": known}, bin_scores(known, {}), 5000)


def test_payload_does_not_grow_with_the_images():
    rng = np.random.default_rng(0)
    known = summarize(rng.normal(2, 1, 50_000))
    ood = {f"set {i}": summarize(rng.normal(0, 1, 15_000)) for i in range(7)}
    grid = cumulative_counts({"ID": known, **ood}, bin_scores(known, ood))
    sent = {n: c.tolist() for n, c in grid.accepted.items()} | {"t": grid.thresholds.tolist()}
    assert len(json.dumps(sent, separators=(",", ":"))) < 100_000
