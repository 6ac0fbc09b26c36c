"""Many detectors on an experiment's sets, with those that could not run and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ood_core.activations.record import PENULTIMATE
from ood_core.detectors import all_detectors, by_canonical_name, canonical_name, make_detector
from ood_core.errors import ConfigError, OODLensError
from ood_core.runtime.progress import Meter, ProgressCallback, StopCheck
from ood_core.scoring import tables
from ood_core.scoring.leaderboard import leaderboard
from ood_core.scoring.score_set import ScoreSet, check_layer, chosen_ood_sets, score

if TYPE_CHECKING:
    import pandas as pd

    from ood_core.activations import ActivationSet

__all__ = ["Benchmark", "Skipped", "benchmark", "runs"]


@dataclass(frozen=True)
class Skipped:
    """A detector that could not run here, and why."""

    detector: str
    layer: str
    reason: str


@dataclass(frozen=True)
class Benchmark:
    """Results of a benchmark.

    Attributes
    ----------
    score_sets : one per detector and layer, in the order they ran.
    skipped : detectors that could not run.
    near : the OOD sets counted as near in the means.
    """

    score_sets: tuple[ScoreSet, ...]
    skipped: tuple[Skipped, ...]
    near: tuple[str, ...]

    @classmethod
    def of(cls, found: Sequence[ScoreSet | Skipped], near: Sequence[str]) -> Benchmark:
        """Sort out what `runs` yielded."""
        return cls(
            tuple(r for r in found if isinstance(r, ScoreSet)),
            tuple(r for r in found if isinstance(r, Skipped)),
            tuple(near),
        )

    def table(self) -> pd.DataFrame:
        """One row per detector, layer and OOD set: the columns of results.csv."""
        return tables.tidy(self.score_sets)

    def leaderboard(self) -> pd.DataFrame:
        """One row per detector and layer: AUROC and FPR95 per OOD set and their means."""
        return leaderboard(self.score_sets, self.near)


def benchmark(
    acts_set: ActivationSet,
    detectors: Sequence[str] | None = None,
    layer: str | None = None,
    ood_sets: Sequence[str] | None = None,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> Benchmark:
    """Run detectors on the OOD sets.

    Parameters
    ----------
    detectors : names and fusions, each run once; None is every detector, leaving out what cannot
        run.
    layer : a recorded layer, or "all": every layer for the layer-wise detectors.
    ood_sets : names of OOD sets; None is all.
    params : detector name -> parameters that differ from the defaults.
    progress, should_stop : reported to and asked after each detector.

    Raises
    ------
    ConfigError, DataError
        When a detector that was named cannot run.
    StoppedError
        When should_stop says so.
    """
    found = list(runs(acts_set, detectors, layer, ood_sets, params, progress, should_stop))
    return Benchmark.of(found, acts_set.experiment.near)


def runs(
    acts_set: ActivationSet,
    detectors: Sequence[str] | None = None,
    layer: str | None = None,
    ood_sets: Sequence[str] | None = None,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> Iterator[ScoreSet | Skipped]:
    """As `benchmark`, one result at a time: what a front end keeps when it is interrupted."""
    plan = _plan(acts_set, detectors, layer)
    given = by_canonical_name(params or {})
    ood_sets = chosen_ood_sets(acts_set, ood_sets)
    meter = Meter("scoring", len(plan), progress, should_stop)
    for name, where in plan:
        meter.stage = name
        meter.check(force=True)
        try:
            yield score(acts_set, name, given.get(name), where, ood_sets)
        except OODLensError as error:
            if detectors is not None:
                raise
            yield Skipped(name, where, str(error))
        meter.advance(1)


def _plan(
    acts_set: ActivationSet, detectors: Sequence[str] | None, layer: str | None
) -> list[tuple[str, str]]:
    """(detector, layer) pairs to run; every name is checked before the first one runs."""
    every = [info.name for info in acts_set.layers]
    if layer != "all":
        check_layer(acts_set, layer)
    plan = []
    for name in dict.fromkeys(
        map(canonical_name, all_detectors() if detectors is None else detectors)
    ):
        layerwise = make_detector(name).layerwise
        if layerwise and layer == "all":
            plan += [(name, where) for where in every]
        else:
            plan.append((name, layer if layer and layerwise else PENULTIMATE))
    if not plan:
        raise ConfigError("no detector to run: name at least one.")
    return plan
