"""What a page works on: the experiment, its activations and the visitor's choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ood_core import scoring
from ood_core.activations import PENULTIMATE
from ood_core.detectors import canonical_name, detector_class
from ood_core.errors import DataError, OODLensError
from ood_core.plots.theme import ID_COLOUR, ood_colour
from ood_core.scoring.params import own_params, params_from, params_text
from ood_core.views.showcase import above_id
from pages.components.kit import cache, state

if TYPE_CHECKING:
    from ood_core.activations import ActivationSet
    from ood_core.experiments import Experiment
    from ood_core.scoring import GateResult, ScoreSet
    from ood_core.views.showcase import Remark

__all__ = ["LINE_SLIDERS", "Params", "View", "adopt", "detector_params"]

Params: TypeAlias = dict[str, Any]
"""Parameters of a detector: name -> value, of the types of its `defaults()`."""
LINE_SLIDERS = {"p_a": 100.0, "p_w": 100.0, "clip": 1e6}
"""LINe parameters that sliders hold (keys `line_<name>`), with the largest value allowed."""


@dataclass(frozen=True)
class View:
    """One visitor's selection, ready to compute on.

    Attributes
    ----------
    experiment : the `Experiment`.
    stored : its activations; None only where a page asked for `prepared=False` and nothing is in
        the store. Every other page reads `acts`.
    layer : chosen layer, `PENULTIMATE` by default.
    ood_sets : chosen OOD sets, in the experiment's order, at least one.
    detector : chosen detector's name.
    params : its parameters: the experiment's overrides, then the visitor's LINe sliders.
    """

    experiment: Experiment
    stored: ActivationSet | None
    layer: str
    ood_sets: tuple[str, ...]
    detector: str
    params: Mapping[str, object] = field(default_factory=dict)

    @property
    def acts(self) -> ActivationSet:
        """Activations of the experiment: set name -> `StoredActivations`.

        Raises
        ------
        DataError
            When nothing is prepared, so that `stored` is None.
        """
        if self.stored is None:
            raise DataError(
                f"experiment {self.experiment.name!r} is not prepared: prepare it on the "
                "Overview page."
            )
        return self.stored

    @property
    def fingerprint(self) -> str:
        """Identity of the activations: begin every cache key with a word and this."""
        return str(self.acts.fingerprint)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by number; () where nothing has classes."""
        return self.acts.class_names

    @property
    def lacking(self) -> Mapping[str, str]:
        """Detectors that cannot run here, by name, each with what it needs and is not here."""
        return cache.lacking_detectors(self.experiment, self.acts)

    @property
    def able(self) -> dict[str, str]:
        """Titles of the detectors that lack nothing here, by name."""
        lost = self.lacking
        return {n: title for n, title in cache.detector_titles().items() if n not in lost}

    def colour(self, name: str) -> str:
        """Colour of a data set: blue for ID, the OOD set's own hue otherwise."""
        sets = self.experiment.ood_sets
        return ood_colour(sets.index(name)) if name in sets else ID_COLOUR

    def label(self, name: str) -> str:
        """Name of a data set in legends and tables; the ID test set says that it is ID."""
        return f"{name} (ID)" if name == self.experiment.test_set else name

    def scores(
        self,
        detector: str | None = None,
        params: Mapping[str, object] | None = None,
        layer: str | None = None,
    ) -> ScoreSet:
        """`ScoreSet` of the chosen (or given) detector on the chosen OOD sets.

        Computed once per process for all OOD sets of the experiment, so choosing other sets
        costs nothing.

        Raises
        ------
        OODLensError
            When the detector cannot run here. The frame makes it a message on the page.
        """
        name = detector or self.detector
        if params is None:
            params = (
                self.params if name == self.detector else detector_params(self.experiment, name)
            )
        return self._all_scores(name, params, layer or self.layer).on(self.ood_sets)

    def attempt(self, detector: str) -> tuple[ScoreSet | None, str]:
        """`ScoreSet` of a detector with its parameters here, or None and why it cannot run."""
        try:
            return self.scores(detector), ""
        except OODLensError as error:
            return None, str(error)

    def attempt_own(self, detector: str) -> tuple[ScoreSet | None, str]:
        """The same with the experiment's own parameters at the penultimate layer, whatever the
        visitor chose."""
        try:
            params = own_params(self.experiment, detector)
            return self.scores(detector, params, PENULTIMATE), ""
        except OODLensError as error:
            return None, str(error)

    def gates(self) -> tuple[GateResult, ...]:
        """The sanity gates on everything that was prepared; computed once per process."""
        return cache.once(("gates", self.fingerprint), lambda: scoring.run_gates(self.acts))

    def above_id(self, scores: ScoreSet) -> tuple[Remark, ...]:
        """Why OOD sets score above the ID images; computed once per process."""
        key = ("above", scores.key, tuple(scores.ood))
        return cache.once(key, lambda: above_id(self.acts, scores))

    def every_detector(self) -> dict[str, ScoreSet]:
        """`ScoreSet` of each detector that can run here, by name."""
        found = {name: self.attempt(name)[0] for name in cache.detector_titles()}
        return {name: scores for name, scores in found.items() if scores is not None}

    def _all_scores(self, name: str, params: Mapping[str, object], layer: str) -> ScoreSet:
        every = self.experiment.ood_sets
        key = ("scores", self.fingerprint, name, cache.frozen(params), layer, every)
        return cache.once(key, lambda: scoring.score(self.acts, name, dict(params), layer, every))


def detector_params(experiment: Experiment, detector: str) -> Params:
    """Parameters of `detector` here: the experiment's overrides, what the visitor adopted from a
    sweep, then the LINe sliders."""
    params = own_params(experiment, detector) | _adopted(detector)
    if detector == "line":
        defaults = detector_class("line").defaults() | params
        for name, high in LINE_SLIDERS.items():
            if state.known(f"line_{name}"):
                params[name] = state.number(f"line_{name}", 0.0, high, float(defaults[name]))
    return params


def adopt(detector: str, params: Params) -> None:
    """Make `params` the visitor's for this detector, from a callback; they go into the URL."""
    state.put("detector", detector)
    state.remember("params", f"{detector}:{params_text(params)}")
    if detector == "line":
        for name in (name for name in LINE_SLIDERS if name in params):
            state.put(f"line_{name}", float(params[name]))


def _adopted(detector: str) -> Params:
    given, _, text = state.text("params").partition(":")
    name = canonical_name(given)
    if name != given:
        state.remember("params", f"{name}:{text}")
    if name != detector or not text:
        return {}
    try:
        params = params_from(text)
        detector_class(name).check_params(params)
    except OODLensError as error:
        state.note(f"The address gives params = {text!r}. {error}")
        state.forget("params")
        return {}
    return params
