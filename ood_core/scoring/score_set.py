"""Detectors x data sets: fit on the fit set, score the ID test set and every OOD set."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from ood_core.activations.record import PENULTIMATE, Activations
from ood_core.detectors import make_detector
from ood_core.detectors.odin import Odin
from ood_core.errors import ConfigError, did_you_mean
from ood_core.metrics import Evaluation, evaluate
from ood_core.metrics.counts import ScoreSummary, summarize
from ood_core.scoring.params import own_params
from ood_core.scoring.perturbed import forward_pass
from ood_core.thresholds.operating_point import Halves, Sample, halves

if TYPE_CHECKING:
    from ood_core.activations import ActivationSet
    from ood_core.detectors import Detector

__all__ = [
    "ScoreSet",
    "chosen_ood_sets",
    "fit",
    "score",
    "score_rows",
]

T = TypeVar("T")
CHUNK = 16384
"""Most images scored at a time where a set is streamed."""
HELD_BYTES = 512 << 20
"""Features up to this size (as float64) are read once for all detectors; larger ones streamed."""


@dataclass(frozen=True, eq=False)
class ScoreSet:
    """Scores of one fitted detector on the ID test set and the OOD sets.

    Attributes
    ----------
    detector, params, layer : what scored, by its canonical name; `params` are all parameters but
        the layer.
    fit_set, id_name : names of the fit set and of the ID test set.
    id_scores : (n,) scores of the ID test set in the order of its images, higher = more ID.
    ood : OOD set name -> its scores, in the experiment's order.
    seconds : wall time of fitting and scoring.
    warnings : plain sentences of the detector about this data.
    key : identifies content: activations, detector, parameters and layer.
    fitted : the fitted detector, to score new images with.
    """

    detector: str
    params: Mapping[str, Any]
    layer: str
    fit_set: str
    id_name: str
    id_scores: np.ndarray
    ood: Mapping[str, np.ndarray]
    seconds: float
    warnings: tuple[str, ...]
    key: str
    fitted: Detector = field(repr=False)
    _memo: dict[tuple[str | None, ...], object] = field(
        init=False, default_factory=dict, repr=False
    )

    def on(self, ood_sets: Sequence[str]) -> ScoreSet:
        """The same scores on some of the OOD sets, in this order; what is known stays known.

        Raises
        ------
        ConfigError
            On a set that has no scores here.
        """
        for name in ood_sets:
            self._check(name)
        chosen = replace(self, ood={name: self.ood[name] for name in ood_sets})
        # Everything in it is under the names of sets, whose scores are the same arrays.
        object.__setattr__(chosen, "_memo", self._memo)
        return chosen

    def summary(self, name: str | None = None) -> ScoreSummary:
        """Sorted scores of an OOD set, of the ID test set for None; sorted once."""
        if name is not None:
            self._check(name)
        return self._once(
            ("summary", name), lambda: summarize(self.id_scores if name is None else self.ood[name])
        )

    def evaluate(self, ood_set: str) -> Evaluation:
        """Every metric against one OOD set; computed once."""
        self._check(ood_set)
        return self._once(
            ("evaluation", ood_set), lambda: evaluate(self.summary(), self.summary(ood_set))
        )

    def sample(self) -> Sample:
        """All scores, sorted, to choose thresholds on and to count on."""
        ood = {name: self.summary(name) for name in self.ood}
        return Sample(self.summary(), ood, "the whole test sets")

    def halves(self) -> Halves:
        """Every set split in two the same way each time: choose on one half, count on the other."""
        return self._once(("halves", *self.ood), lambda: halves(self.id_scores, self.ood))

    def _check(self, name: str) -> None:
        if name not in self.ood:
            raise ConfigError(f"unknown OOD set {name!r}. {did_you_mean(name, self.ood)}")

    def _once(self, key: tuple[str | None, ...], compute: Callable[[], T]) -> T:
        if key not in self._memo:
            self._memo[key] = compute()
        return cast(T, self._memo[key])


def fit(
    acts_set: ActivationSet,
    detector: str,
    params: Mapping[str, Any] | None = None,
    layer: str | None = None,
) -> Detector:
    """Make a detector and fit it on the experiment's fit set.

    Parameters
    ----------
    detector : a name or alias, or a fusion "a+b".
    params : parameters that differ from the defaults. The experiment's own overrides apply first.
    layer : recorded layer for layer-wise detectors; others read the penultimate features.

    ODIN with epsilon > 0 gets the experiment's model and images: it alone runs them again.

    Raises
    ------
    ConfigError, DataError
        For an unknown detector, layer or parameter, or where the detector cannot run here.
    """
    experiment = acts_set.experiment
    given = {**own_params(experiment, detector), **(params or {})}
    if check_layer(acts_set, layer) and make_detector(detector, **given).layerwise:
        given["layer"] = None if layer == PENULTIMATE else layer
    made = make_detector(detector, **given)
    if given.get("epsilon") and isinstance(made, Odin):
        made.use_model(forward_pass(experiment))
    return made.fit(acts_set[experiment.fit_set], acts_set.head)


def score_rows(fitted: Detector, acts: Activations) -> np.ndarray:
    """Scores (n,) of all images; what is held in memory does not grow with n.

    A set whose features are small is scored from arrays that stay in memory for the next
    detector; a large one is streamed from where it is stored, in equal pieces.
    """
    n = len(acts)
    if n * acts.layer().n_channels * 8 <= HELD_BYTES:
        return fitted.score_samples(acts)
    size = math.ceil(n / math.ceil(n / CHUNK))
    return np.concatenate([fitted.score_samples(piece) for piece in acts.chunks(size)])


def check_layer(acts_set: ActivationSet, layer: str | None) -> bool:
    """Whether a layer is named.

    Raises
    ------
    ConfigError
        When it is none of the recorded ones.
    """
    known = [info.name for info in acts_set.layers]
    if layer is not None and layer not in known:
        raise ConfigError(f"unknown layer {layer!r}. {did_you_mean(layer, known)}")
    return layer is not None


def chosen_ood_sets(acts_set: ActivationSet, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """OOD sets of these names, in the order given; all of the experiment's for None.

    Raises
    ------
    ConfigError
        On a name that the experiment does not have.
    """
    known = acts_set.experiment.ood_sets
    for name in names or ():
        if name not in known:
            raise ConfigError(f"unknown OOD set {name!r}. {did_you_mean(name, known)}")
    return tuple(known if names is None else names)


def score(
    acts_set: ActivationSet,
    detector: str,
    params: Mapping[str, Any] | None = None,
    layer: str | None = None,
    ood_sets: Sequence[str] | None = None,
) -> ScoreSet:
    """Fit a detector and score the ID test set and the OOD sets (all of them for None).

    Raises
    ------
    ConfigError, DataError
        As `fit`, and for an unknown OOD set.
    """
    experiment = acts_set.experiment
    names = chosen_ood_sets(acts_set, ood_sets)
    start = time.perf_counter()
    fitted = fit(acts_set, detector, params, layer)
    rows = {n: score_rows(fitted, acts_set[n]) for n in (experiment.test_set, *names)}
    seconds = time.perf_counter() - start
    used = fitted.get_params()
    where = used.pop("layer", None) or PENULTIMATE
    for scores in rows.values():
        scores.setflags(write=False)
    return ScoreSet(
        detector=fitted.name,
        params=used,
        layer=where,
        fit_set=experiment.fit_set,
        id_name=experiment.test_set,
        id_scores=rows.pop(experiment.test_set),
        ood=rows,
        seconds=seconds,
        warnings=tuple(fitted.warnings_),
        key=_key(acts_set, fitted.name, used, where, names),
        fitted=fitted,
    )


def _key(acts_set: ActivationSet, *parts: Any) -> str:
    text = json.dumps([acts_set.fingerprint, *parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
