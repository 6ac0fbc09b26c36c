"""Made-up results of the lab: every claim's numbers are set by hand."""

from __future__ import annotations

import pandas as pd

from ood_core.theory.lab import LabResults, full_plan
from ood_core.theory.lab.plan import DEPTH, EPOCHS
from ood_core.theory.lab.vectors import OOD_SETS


def made_up(wiggle: float = 0.01, good: float = 0.8) -> LabResults:
    """Results in which norms separate with AUROC `good` (NAN 0.05 more) after training.

    Seeds differ by `wiggle`; one-class networks separate with 0.4; relative error is 0.3.
    """
    tables: dict[str, list[dict[str, object]]] = {
        "training": [], "separation": [], "sets": [], "hidden": [],
    }  # fmt: skip
    for run in full_plan():
        only = float("nan") if run.only_class is None else float(run.only_class)
        known = {**run.as_dict(), "run": run.name, "only_class": only}
        shift = wiggle * run.seed
        for epoch in run.snapshots:
            share = epoch / EPOCHS
            tables["training"].append({**known, "epoch": epoch, "loss": 1 - share, "accuracy": 1.0})
            one = run.only_class is not None
            for layer in range(1, DEPTH + 1):
                for name in ("fit", "test", *OOD_SETS):
                    tables["sets"].append(
                        {**known, "epoch": epoch, "layer": layer, "set": name, "norm": 10 + share,
                         "active_share": 0.5 - 0.1 * share,
                         "activation_entropy": 0.4 + 0.2 * share}
                    )  # fmt: skip
                for fold in ("fit", "test"):
                    for ood in ["other digits"] if one else OOD_SETS:
                        for score, more in (
                            ("norm", 0.0),
                            ("negative_aware_norm", 0.05),
                            ("sparsity", -0.1),
                        ):
                            auroc = 0.5 + (good - 0.5) * share + more * share + shift
                            auroc += 0.01 * (layer - DEPTH)
                            tables["separation"].append(
                                {**known, "epoch": epoch, "layer": layer, "fold": fold,
                                 "ood_set": ood, "score": score,
                                 "auroc": 0.4 + shift if one else auroc}
                            )  # fmt: skip
                if run.scheme == "supervised" and run.compares_schemes:
                    for name in ("test", *OOD_SETS):
                        tables["hidden"].append(
                            {**known, "epoch": epoch, "layer": layer, "set": name,
                             "accuracy": 0.1 + 0.8 * share + shift,
                             "relative_error": 0.7 - 0.1 * layer + shift, "entropy": 0.2,
                             "mismatch_rate": 0.4, "mismatch_rate_predicted": 0.4}
                        )  # fmt: skip
    frames = {name: pd.DataFrame(rows) for name, rows in tables.items()}
    return LabResults(**frames, runs=full_plan(), planned=len(full_plan()))
