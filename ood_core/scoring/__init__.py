"""Scores of an experiment's images: one detector (`score`), many (`benchmark`), new images."""

from ood_core.scoring.benchmarking import (
    Benchmark,
    ScoreSet,
    Skipped,
    benchmark,
    fit,
    runs,
    score,
    score_rows,
    table,
    verdicts,
)

__all__ = [
    "Benchmark",
    "ScoreSet",
    "Skipped",
    "benchmark",
    "fit",
    "runs",
    "score",
    "score_rows",
    "table",
    "verdicts",
]
