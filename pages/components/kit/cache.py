"""What is known is not computed again: process-wide caches under keys of fingerprints.

Values are shared by all visitors and must not be changed. Keys are made of names, fingerprints
and parameters; arrays are never hashed. Each cache holds a bounded number of entries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, TypeVar, cast

import streamlit as st

from ood_core.activations import prepared as lookup
from ood_core.data import available as restricted
from ood_core.data import experiment_status, open_dataset
from ood_core.detectors import all_detectors, detector_class
from ood_core.errors import ConfigError, OODLensError
from ood_core.experiments import BrokenExperiment, Experiment, list_experiments
from ood_core.scoring.params import given_params
from ood_core.views.not_applicable import unavailable

if TYPE_CHECKING:
    from ood_core.activations import ActivationSet
    from ood_core.data import DataStatus, ImageSet
    from ood_core.experiments import DataSpec

__all__ = [
    "available",
    "detector_titles",
    "experiment_labels",
    "experiments",
    "frozen",
    "image_set",
    "lacking_detectors",
    "once",
    "prepared",
    "refresh",
    "short_title",
    "status",
    "usable",
]

T = TypeVar("T")


def once(key: Hashable, make: Callable[[], T]) -> T:
    """Return `make()`, computed once per process for `key`.

    Begin the key with a word of your own and put everything in it that the value depends on:
    `once(("layers", view.acts.fingerprint, view.ood_sets), lambda: …)`.
    """
    return cast(T, _once(key, make))


@st.cache_resource(max_entries=256, show_spinner=False)
def _once(key: Hashable, _make: Callable[[], object]) -> object:
    return _make()


def frozen(params: Mapping[str, object] | None) -> tuple[tuple[str, object], ...]:
    """Parameters as part of a key: sorted pairs."""
    return tuple(sorted((params or {}).items()))


class _NotYetError(Exception):
    """Nothing prepared: an exception, because a cached None would stay."""


def prepared(experiment: Experiment) -> ActivationSet | None:
    """Activations of the experiment if they are in the store, else None. Never computes.

    The answer is looked up again after five minutes, in the background, and after `refresh`: a
    changed file or checkpoint shows without a restart, and no rerun waits for it.
    """
    try:
        return _prepared(repr(experiment), experiment)
    except _NotYetError:
        return None


@st.cache_resource(max_entries=16, ttl=300, refresh_mode="background", show_spinner=False)
def _prepared(key: str, _experiment: Experiment) -> ActivationSet:
    try:
        acts = lookup(_experiment)
    except OODLensError:
        if all(part.ready for part in status(_experiment).values()):
            raise
        raise _NotYetError from None  # files are missing: the page says which
    if acts is None:
        raise _NotYetError
    return acts


def available(experiment: Experiment) -> Experiment:
    """The experiment without the OOD sets that are not on this machine; see `ood_core.data`."""
    return restricted(experiment, status(experiment))


def status(experiment: Experiment) -> dict[str, DataStatus]:
    """What of the experiment's classifier and image sets is on disk, looked up as `prepared` is."""
    return _status(repr(experiment), experiment)


@st.cache_resource(max_entries=32, ttl=60, refresh_mode="background", show_spinner=False)
def _status(key: str, _experiment: Experiment) -> dict[str, DataStatus]:
    return dict(experiment_status(_experiment))


def refresh() -> None:
    """Forget which experiments are prepared and on disk, so the next run looks again."""
    _prepared.clear()
    _status.clear()


@st.cache_resource(max_entries=64, show_spinner=False)
def image_set(key: str, _spec: DataSpec) -> ImageSet:
    """Opened data set, for thumbnails. `key` is `repr(spec)`."""
    return open_dataset(_spec)


@st.cache_resource(max_entries=1, ttl=10, show_spinner=False)
def experiments() -> list[Experiment | BrokenExperiment]:
    """All experiments, broken ones included; a new file shows within ten seconds."""
    return [e if isinstance(e, BrokenExperiment) else _checked(e) for e in list_experiments()]


def _checked(experiment: Experiment) -> Experiment | BrokenExperiment:
    """The experiment, or a broken one where its detectors' parameters cannot be told apart."""
    try:
        given_params(experiment)
    except ConfigError as error:
        assert experiment.path is not None  # what is listed was read from a file
        return BrokenExperiment(experiment.name, experiment.path, str(error))
    return experiment


def usable() -> dict[str, Experiment]:
    """Experiments by name, without those whose file is broken."""
    return {e.name: e for e in experiments() if isinstance(e, Experiment)}


def experiment_labels() -> dict[str, str]:
    """Name -> what lists call each usable experiment: its title, with its name where titles meet.

    A list tells its options apart by their labels, so no two may be the same.
    """
    titles = {name: experiment.title for name, experiment in usable().items()}
    while len(shared := _shared(titles)):
        titles |= {name: f"{titles[name]} ({name})" for name in shared}
    return titles


def _shared(titles: Mapping[str, str]) -> list[str]:
    """Names whose title another one has too."""
    given = Counter(titles.values())
    return [name for name, title in titles.items() if given[title] > 1]


@st.cache_resource(max_entries=1, show_spinner=False)
def detector_titles() -> dict[str, str]:
    """Name -> title of every detector, family by family."""
    return {name: str(kind.title) for name, kind in all_detectors().items()}


def lacking_detectors(experiment: Experiment, acts: ActivationSet | None) -> dict[str, str]:
    """Detectors that the experiment cannot run, by name: a sentence that says what is missing.

    Where nothing is prepared, as far as the experiment file tells.
    """
    if acts is None:
        return {}
    return once(("lacking", acts.fingerprint), lambda: _lacking(acts))


def _lacking(acts: ActivationSet) -> dict[str, str]:
    found = {}
    for name, title in detector_titles().items():
        if reason := unavailable(acts, name):
            found[name] = f"{title} cannot run here: {reason}"
    return found


def short_title(name: str) -> str:
    """What to call a detector where there is little room."""
    kind = detector_class(name)
    return str(kind.short or kind.title)
