"""Time of every figure of one ID and one OOD set, beside scikit-learn, in one run.

    python -m benchmarks.metrics [--id 50000] [--ood 100000]

Prints milliseconds (the best of several runs) and the ratio to sorting both arrays once.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn import metrics as sk

sys.path.insert(0, str(Path(__file__).parents[1]))

from ood_core import metrics, thresholds
from ood_core.metrics.counts import compare, summarize
from ood_core.metrics.histograms import bin_scores, cumulative_counts
from ood_core.plots.distributions import histogram


def best(work: Callable[[], object], runs: int = 7) -> float:
    """Milliseconds of the fastest run: what the machine can do when nothing is in the way."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds)


def sklearn_figures(a: np.ndarray, b: np.ndarray) -> None:
    """AUROC, FPR95, both average precisions: scikit-learn's way, without intervals."""
    labels, scores = np.r_[np.ones(len(a)), np.zeros(len(b))], np.r_[a, b]
    sk.roc_auc_score(labels, scores)
    sk.roc_curve(labels, scores, drop_intermediate=False)
    sk.average_precision_score(labels, scores)
    sk.average_precision_score(1 - labels, -scores)


def bootstrap(a: np.ndarray, b: np.ndarray, times: int = 200) -> None:
    """Percentile bootstrap of FPR95: what `fpr_interval` replaces."""
    rng = np.random.default_rng(0)
    for _ in range(times):
        metrics.fpr_at_tpr(rng.choice(a, len(a)), rng.choice(b, len(b)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--id", type=int, default=50_000)
    parser.add_argument("--ood", type=int, default=100_000)
    args = parser.parse_args()
    logging.disable()
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, args.id), rng.normal(0, 1, args.ood)
    known, ood = summarize(a), {"ood": summarize(b)}
    other = ood["ood"]
    compare(known, other)
    bins = bin_scores(known, ood)
    rows: list[tuple[str, Callable[[], object], int]] = [
        ("sort both arrays", lambda: (np.sort(a), np.sort(b)), 7),
        ("evaluate: all figures and intervals", lambda: metrics.evaluate(a, b), 7),
        ("scikit-learn, no intervals", lambda: sklearn_figures(a, b), 7),
        ("evaluate, arrays sorted before", lambda: metrics.evaluate(known, other), 7),
        ("ROC, 400 exact vertices", lambda: metrics.roc_curve(known, other), 7),
        ("threshold at 95 % TPR, all counts", lambda: thresholds.at_tpr(known, ood), 7),
        ("threshold of least cost", lambda: thresholds.at_cost(known, ood), 7),
        ("80 exact bins", lambda: bin_scores(known, ood), 7),
        ("counts at 1,024 thresholds", lambda: cumulative_counts({"ID": known, **ood}, bins), 7),
        ("histogram figure", lambda: histogram(known, ood), 7),
        ("PR, 400 exact vertices", lambda: metrics.pr_curve(known, other), 7),
        ("interval of FPR95", lambda: metrics.fpr_interval(known, other), 7),
        ("the same, 200 bootstraps", lambda: bootstrap(a, b), 1),
    ]
    print(f"{args.id:,} ID and {args.ood:,} OOD scores{'':>12}    ms   of a sort")
    base = best(rows[0][1])
    for name, work, runs in rows:
        spent = best(work, runs)
        print(f"{name:<40} {spent:>9.2f} {spent / base:>9.2f}x")
    print(f"payload: histogram {len(histogram(known, ood).to_json()):,} bytes")


if __name__ == "__main__":
    main()
