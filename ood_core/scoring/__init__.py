"""Scores of an experiment's images: one detector (`score`), many (`benchmark`), new images."""

from ood_core.scoring.benchmarking import NO_OOD, Benchmark, benchmark, runs
from ood_core.scoring.gate_result import GateResult, gates_in_words
from ood_core.scoring.gates import run_gates
from ood_core.scoring.new_images import Verdicts, verdicts
from ood_core.scoring.score_set import ScoreSet, fit, score, score_rows
from ood_core.scoring.skipped import Skipped
from ood_core.scoring.tables import tidy as table

__all__ = [
    "NO_OOD",
    "Benchmark",
    "GateResult",
    "ScoreSet",
    "Skipped",
    "Verdicts",
    "benchmark",
    "fit",
    "gates_in_words",
    "run_gates",
    "runs",
    "score",
    "score_rows",
    "table",
    "verdicts",
]
