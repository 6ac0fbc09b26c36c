"""Many detectors on an experiment's sets, with those that could not run and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ood_core.activations.record import PENULTIMATE
from ood_core.detectors import (
    all_detectors,
    by_canonical_name,
    canonical_name,
    detector_class,
    make_detector,
)
from ood_core.errors import ConfigError, OODLensError
from ood_core.runtime.progress import Meter, ProgressCallback, StopCheck
from ood_core.scoring import tables
from ood_core.scoring.leaderboard import leaderboard
from ood_core.scoring.params import own_params, rows_of
from ood_core.scoring.score_set import ScoreSet, check_layer, chosen_ood_sets, score
from ood_core.scoring.skipped import Skipped

if TYPE_CHECKING:
    import pandas as pd

    from ood_core.activations import ActivationSet

__all__ = ["NO_OOD", "Benchmark", "benchmark", "runs"]

NO_OOD = (
    "This experiment has no OOD set, and AUROC, FPR95 and gains compare ID images with OOD ones: "
    "there is none to show. Add a table [[ood]] with a name and, for example, a folder to its "
    "file. Thresholds that accept a share of the ID images, and verdicts, need none."
)
"""What a benchmark without OOD sets has in place of figures."""


@dataclass(frozen=True)
class Benchmark:
    """Results of a benchmark.

    Attributes
    ----------
    score_sets : one per detector and layer, in the order they ran.
    skipped : detectors that could not run; `failed` are those of them that should have.
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

    @property
    def failed(self) -> tuple[Skipped, ...]:
        """Detectors that were named, or lack nothing, and could not run with their parameters."""
        return tuple(s for s in self.skipped if not s.left_out)

    def table(self) -> pd.DataFrame:
        """One row per detector, layer and OOD set: the columns of results.csv.

        With `failed` ones there is another, `error`: why their figures are missing.
        """
        return tables.tidy([*self.score_sets, *self.failed])

    def leaderboard(self) -> pd.DataFrame:
        """One row per detector and layer: AUROC and FPR95 per OOD set and their means.

        With `failed` ones, which come last, there is a column `error`.
        """
        return leaderboard([*self.score_sets, *self.failed], self.near)


def benchmark(
    acts_set: ActivationSet,
    detectors: Sequence[str] | None = None,
    layer: str | None = None,
    ood_sets: Sequence[str] | None = None,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
    grid: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
) -> Benchmark:
    """Run detectors on the OOD sets. One that cannot run leaves its reason; the rest stands.

    Parameters
    ----------
    detectors : names and fusions, each run once; None is every detector.
    layer : a recorded layer, or "all": every layer for the layer-wise detectors.
    ood_sets : names of OOD sets; None is all.
    params : detector name -> parameters that differ from the defaults.
    progress, should_stop : reported to and asked after each detector.
    grid : detector name -> parameter -> values: the detector runs with each combination.

    Raises
    ------
    ConfigError
        For an unknown name, or a value that a parameter may not have: before anything runs.
    StoppedError
        When should_stop says so.
    """
    found = list(runs(acts_set, detectors, layer, ood_sets, params, progress, should_stop, grid))
    return Benchmark.of(found, acts_set.experiment.near)


def runs(
    acts_set: ActivationSet,
    detectors: Sequence[str] | None = None,
    layer: str | None = None,
    ood_sets: Sequence[str] | None = None,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
    grid: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
) -> Iterator[ScoreSet | Skipped]:
    """As `benchmark`, one result at a time: what a front end keeps when it is interrupted."""
    plan = _plan(acts_set, detectors, layer, params or {}, grid or {})
    ood_sets = chosen_ood_sets(acts_set, ood_sets)
    meter = Meter("scoring", len(plan), progress, should_stop)
    for run in plan:
        meter.stage = run.detector
        meter.check(force=True)
        try:
            yield score(acts_set, run.detector, run.params, run.layer, ood_sets)
        except OODLensError as error:
            yield _skipped(acts_set, run, ood_sets, error, named=detectors is not None)
        meter.advance(1)


class _Run(NamedTuple):
    """One row to come; `layer` is None where `params` names it."""

    detector: str
    layer: str | None
    params: Mapping[str, Any]


def _plan(
    acts_set: ActivationSet,
    detectors: Sequence[str] | None,
    layer: str | None,
    params: Mapping[str, Mapping[str, Any]],
    grid: Mapping[str, Mapping[str, Sequence[Any]]],
) -> list[_Run]:
    """What to run; every name and every parameter is checked before the first one runs."""
    every = [info.name for info in acts_set.layers]
    if layer != "all":
        check_layer(acts_set, layer)
    names = dict.fromkeys(map(canonical_name, all_detectors() if detectors is None else detectors))
    given, grid = by_canonical_name(params), by_canonical_name(grid)
    for name in set(grid) - set(names):
        raise ConfigError(f"the grid is for {name!r}, which is none of {', '.join(names)}.")
    plan: list[_Run] = []
    for name in names:
        for made, chosen in rows_of(name, given.get(name, {}), grid.get(name, {})):
            layerwise = made.layerwise
            if "layer" in chosen:
                if layer is not None:
                    raise ConfigError(f"the layer of {name!r} is given twice; leave one out.")
                plan.append(_Run(name, None, chosen))
            elif layerwise and layer == "all":
                plan += [_Run(name, where, chosen) for where in every]
            else:
                plan.append(_Run(name, layer if layer and layerwise else PENULTIMATE, chosen))
    if not plan:
        raise ConfigError("no detector to run: name at least one.")
    return plan


def _skipped(
    acts_set: ActivationSet, run: _Run, ood_sets: Sequence[str], error: Exception, named: bool
) -> Skipped:
    """The row of a detector that could not run, with the parameters it would have had."""
    exp = acts_set.experiment
    params = {**own_params(exp, run.detector), **run.params}
    missing = detector_class(run.detector).unavailable_reason(acts_set[exp.fit_set], acts_set.head)
    with suppress(OODLensError):  # the experiment's own may be wrong: the error says so
        params = make_detector(run.detector, **params).get_params()
    layer = params.pop("layer", None)
    return Skipped(
        run.detector,
        run.layer or layer or PENULTIMATE,
        str(error),
        params,
        exp.test_set,
        len(acts_set[exp.test_set]),
        {name: len(acts_set[name]) for name in ood_sets},
        left_out=not named and missing is not None,
    )
