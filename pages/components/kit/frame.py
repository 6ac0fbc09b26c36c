"""The frame of every page: configuration, style, page list, the four choices, the title."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from ood_core.activations import PENULTIMATE
from ood_core.detectors import canonical_name, detector_class
from ood_core.errors import OODLensError
from ood_core.plots.theme import ood_colour
from pages.components.kit import cache, consent, nav, prepare, state, theme, words
from pages.components.kit.plain import plain
from pages.components.kit.view import View, detector_params

if TYPE_CHECKING:
    from ood_core.activations import ActivationSet
    from ood_core.experiments import Experiment

__all__ = ["open_page"]

DEFAULT_EXPERIMENT = "digits"
DEFAULT_DETECTOR = "negative_aware_norm"
_ICON = str(Path(__file__).parent / "icon.svg")
_STYLE = (Path(__file__).parent / "style.css").read_text()


def open_page(title: str, question: str, *, prepared: bool = True) -> View:
    """Open a page: call it first, once, outside any fragment.

    Call `state.publish()` after your own choices: written once, an address that nobody chose
    never gets into the browser's history.

    Parameters
    ----------
    title : the page's name.
    question : the question that the page answers, in one sentence.
    prepared : when nothing is prepared yet, draw the panel that prepares it and stop. With
        False the page goes on; where `view.stored` is None it must not read `view.acts`.
    """
    st.set_page_config(page_title=f"{title} · OOD Lens", page_icon=_ICON, layout="wide")
    consent.tell_who_is_served()
    state.begin(title)
    with st.sidebar:
        st.html("<div class='brand'>OOD Lens</div>")
        links = st.container()
        whole = _choose_experiment()
        experiment = cache.available(whole)
        acts, problem = _stored(experiment)
        view = _choices(experiment, acts)
        _left_out(set(whole.ood_sets) - set(experiment.ood_sets))
    with links:
        nav.page_links(title)
    st.html(f"<h1 class='page-title'>{title}</h1><p class='page-question'>{question}</p>")
    state.notes()
    if problem:
        state.publish()
        st.error(plain(problem, keep="\n"), icon=":material/error:")
        st.stop()
    if acts is None and prepared:
        state.publish()
        prepare.panel(experiment)
        st.stop()
    if acts is not None:
        consent.panel(experiment)  # for what runs new images; what is stored needs no code
    return view


def _stored(experiment: Experiment) -> tuple[ActivationSet | None, str]:
    """Activations of the experiment, if prepared, and what is wrong with it, if anything."""
    try:
        return cache.prepared(experiment), ""
    except OODLensError as error:
        return None, str(error)


def _choose_experiment() -> Experiment:
    usable = cache.usable()
    name = state.choose("experiment", list(usable), _first(DEFAULT_EXPERIMENT, usable))
    st.selectbox(
        "Experiment",
        list(usable),
        key="experiment",
        format_func=cache.experiment_labels().__getitem__,
        help="Classifier and its image sets.",
    )
    return usable[name]


def _choices(experiment: Experiment, acts: ActivationSet | None) -> View:
    layer = PENULTIMATE
    if acts is None:
        st.selectbox("Layer", ["known once prepared"], key="layer_waiting", disabled=True)
    else:
        layers = [info.name for info in acts.layers]
        layer = state.choose("layer", layers, PENULTIMATE)
        st.selectbox("Layer", layers, key="layer", help=_LAYER_HELP)
    sets = list(experiment.ood_sets)
    chosen = state.choose_many("ood_sets", sets, sets)
    st.html(f"<style>{_STYLE}{theme.style()}{_set_hues(sets)}</style>")
    st.multiselect("OOD sets", sets, key="ood_sets")
    lacking = cache.lacking_detectors(experiment, acts)
    names = {n: title for n, title in cache.detector_titles().items() if n not in lacking}
    detector = state.choose(
        "detector", list(names), _first(DEFAULT_DETECTOR, names), renamed=canonical_name,
        lacking=lacking,
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xxsmall"):
        st.selectbox("Detector", list(names), key="detector", format_func=names.__getitem__)
        params = detector_params(experiment, detector)
        words.score(detector, params)
    if layer != PENULTIMATE and not detector_class(detector).layerwise:
        st.caption(f"{names[detector]} reads the penultimate features, whichever the layer.")
    return View(experiment, acts, layer, tuple(chosen), detector, params)


def _left_out(names: set[str]) -> None:
    if names:
        st.caption(
            f"Not on this machine, so left out: {plain(', '.join(sorted(names)))}. The overview "
            "says how to get them."
        )


def _set_hues(sets: list[str]) -> str:
    """Rules that mark each OOD set in the list with the hue it has in every figure."""
    rules = []
    for i, name in enumerate(sets):
        label = name.replace("\\", "\\\\").replace('"', '\\"').replace("<", "\\3c ")
        rules.append(f'[data-tag][aria-label="{label}"] {{ --hue: {ood_colour(i)}; }}')
    return "".join(rules)


_LAYER_HELP = (
    "Where the norm, sparsity and NAN are measured, from the first layer to the input of the "
    "head (penultimate). Other detectors always read the penultimate features."
)


def _first(wanted: str, known: Collection[str]) -> str:
    return wanted if wanted in known else next(iter(known), wanted)
