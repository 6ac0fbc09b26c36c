"""Finished runs of the lab on disk, and all of them as tables."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.runtime.paths import home
from ood_core.theory import hidden_classifier
from ood_core.theory.lab import plan
from ood_core.theory.lab.plan import Run, full_plan
from ood_core.theory.lab.vectors import lab_identity

if TYPE_CHECKING:
    import pandas as pd

    from ood_core.theory.lab.observing import Observation

__all__ = ["LabResults", "finished", "lab_dir", "load_results", "recipe", "run_file", "save_run"]

_TABLES = ("training", "separation", "sets", "hidden")
_COLUMNS = {
    "training": ("epoch", "loss", "accuracy"),
    "separation": ("epoch", "layer", "fold", "ood_set", "score", "auroc"),
    "sets": ("epoch", "layer", "set", "norm", "active_share", "activation_entropy"),
    "hidden": ("epoch", "layer", "set", "accuracy", "relative_error", "entropy", "mismatch_rate"),
}


@dataclass(frozen=True, eq=False)
class LabResults:
    """Tables over all finished runs; each row begins with run, scheme, seed, width, only_class.

    Attributes
    ----------
    training, separation, sets, hidden : see `observing.TABLES`.
    runs : the runs that are finished.
    planned : number of runs of the full plan.
    """

    training: pd.DataFrame
    separation: pd.DataFrame
    sets: pd.DataFrame
    hidden: pd.DataFrame
    runs: tuple[Run, ...]
    planned: int

    @property
    def complete(self) -> bool:
        """Whether every planned run is finished."""
        return len(self.runs) >= self.planned

    def schemes(self, table: str = "separation") -> pd.DataFrame:
        """Rows of the runs that compare labelling schemes (all classes, the usual width)."""
        frame: pd.DataFrame = getattr(self, table)
        return frame[(frame["width"] == plan.HIDDEN) & frame["only_class"].isna()]


def lab_dir() -> Path:
    """Folder of this recipe's runs. The name changes with what is trained and on which images."""
    folder = home() / "lab" / recipe()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run_file(run: Run) -> Path:
    """Where a run's observation is, or will be."""
    return lab_dir() / f"{run.name}.json"


def finished(runs: Sequence[Run] | None = None) -> tuple[Run, ...]:
    """Those of the runs (of the full plan for None) that are on disk."""
    there = {file.name for file in lab_dir().glob("*.json")}
    return tuple(r for r in (full_plan() if runs is None else runs) if f"{r.name}.json" in there)


def save_run(seen: Observation) -> Path:
    """Write an observation; it appears complete or not at all."""
    path = run_file(seen.run)
    data: dict[str, Any] = {"run": seen.run.as_dict()}
    for table in _TABLES:
        rows = getattr(seen, table)
        data[table] = {column: [row[column] for row in rows] for column in rows[0]} if rows else {}
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            json.dump(data, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def load_results(runs: Sequence[Run] | None = None) -> LabResults:
    """Tables of the finished runs. A file that cannot be read is removed and counts as missing."""

    wanted = full_plan() if runs is None else tuple(runs)
    loaded: dict[Run, dict[str, Any]] = {}
    for run in finished(wanted):
        try:
            loaded[run] = json.loads(run_file(run).read_text(encoding="utf-8"))
        except (ValueError, OSError):
            run_file(run).unlink(missing_ok=True)
    tables = {
        table: _joined(table, {r: data[table] for r, data in loaded.items()}) for table in _TABLES
    }
    return LabResults(**tables, runs=tuple(loaded), planned=len(wanted))


def _joined(table: str, parts: Mapping[Run, Mapping[str, list[Any]]]) -> pd.DataFrame:
    """One frame of the runs' columns; a column that a run does not have is missing there."""
    import pandas as pd

    names = ["run", *[f.name for f in fields(Run)], *_COLUMNS[table]]
    names += sorted({name for columns in parts.values() for name in columns} - set(names))
    joined: dict[str, list[Any]] = {name: [] for name in names}
    for run, columns in parts.items():
        n = len(next(iter(columns.values()), []))
        # A class number or nothing: a float column keeps one type over all runs.
        only = float("nan") if run.only_class is None else float(run.only_class)
        known = {**run.as_dict(), "run": run.name, "only_class": only}
        for name in names:
            joined[name] += columns.get(name) or [known.get(name)] * n
    return pd.DataFrame(joined)


@cache
def recipe() -> str:
    """Hash of images, versions and settings: other networks are never mistaken for these."""
    versions = (plan.RECIPE, hidden_classifier.VERSION)
    settings = (plan.EPOCHS, plan.SNAPSHOTS, plan.DEPTH, plan.HIDDEN)
    text = repr((lab_identity(), versions, settings))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
