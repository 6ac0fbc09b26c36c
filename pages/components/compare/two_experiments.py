"""Two experiments beside each other: histograms, and one table of the same detectors on both."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from ood_core.errors import OODLensError
from ood_core.plots.distributions import histogram
from ood_core.plots.theme import ood_colour
from ood_core.scoring.params import own_params
from ood_core.scoring.two_experiments import different_params, side_by_side
from pages.components.charts import figures
from pages.components.kit import cache, prepare, state
from pages.components.kit.plain import plain
from pages.components.kit.view import View

if TYPE_CHECKING:
    import pandas as pd

    from ood_core.experiments import Experiment
    from ood_core.scoring import ScoreSet

__all__ = ["choose", "draw"]

DETECTORS = ("feature_norm", "negative_aware_norm", "line", "energy")


def choose(view: View) -> View:
    """The visitor's choice of another experiment, as a view; the page stops where there is none."""
    known = {name: cache.available(one) for name, one in cache.usable().items()}
    others = [name for name in known if name != view.experiment.name]
    if not others:
        st.info("There is only one experiment. Make another on the Overview page.")
        st.stop()
    ready = [name for name in others if _is_prepared(known[name])]
    name = state.choose("other_experiment", others, (ready or others)[0])
    labels = cache.experiment_labels()
    st.selectbox(
        f"{plain(view.experiment.title)} against",
        others,
        key="other_experiment",
        format_func=lambda n: labels[n] + ("" if n in ready else " (not prepared)"),
        width=420,
    )
    state.publish()
    state.notes()
    other = known[name]
    acts = cache.prepared(other)
    if acts is None:
        if not ready:
            st.caption(
                "No second experiment is prepared yet. Choose one here and prepare it, or make "
                "one of your own on the Overview page."
            )
        prepare.panel(other)
        st.stop()
    left_out = set(view.experiment.ood_sets) - set(view.ood_sets)
    sets = tuple(n for n in other.ood_sets if n not in left_out) or other.ood_sets
    own = own_params(other, view.detector)
    return View(other, acts, "penultimate", sets, view.detector, own)


def _is_prepared(experiment: Experiment) -> bool:
    """Whether it can be compared at once; one with a fault says which once it is chosen."""
    try:
        return cache.prepared(experiment) is not None
    except OODLensError:
        return False


def draw(view: View, other: View) -> None:
    """Histograms of the chosen detector and the table, A with the visitor's parameters and B with
    its experiment's own."""
    first = dataclasses.replace(view, layer="penultimate")
    names = tuple(dict.fromkeys((*DETECTORS, view.detector)))
    lost = {n: _lost(first, other, n) for n in names}
    a = {n: first.scores(n) for n in names if n not in first.lacking}
    b = {
        n: other.scores(n, params=own_params(other.experiment, n))
        for n in names
        if n not in other.lacking
    }
    state.publish()
    state.notes()
    both = dict.fromkeys([*view.experiment.ood_sets, *other.experiment.ood_sets])
    hues = {name: ood_colour(place) for place, name in enumerate(both)}
    with st.container(key="bench_compare"):  # below each other in a narrow window
        columns = st.columns(2, gap="medium")
    for column, one, known, tag in zip(columns, (first, other), (a, b), "AB", strict=True):
        with column:
            if view.detector in known:
                _histogram(one, known[view.detector], tag, hues)
            else:
                st.markdown(f"**{tag}: {plain(one.experiment.title)}**")
                st.info(plain(one.lacking[view.detector]) + _CHOOSE, icon=":material/block:")
    _table(side_by_side(list(a.values()), list(b.values())))
    st.caption(
        f"A: {plain(view.experiment.name)}, B: {plain(other.experiment.name)}. Percent, "
        "penultimate layer; whether the 95 % intervals of AUROC lie apart. FPR95 with ID positive. "
        "OOD sets are matched by name; their images may differ. Scores of different networks have "
        "different scales, so compare shapes and figures, not positions." + _different(a, b)
    )
    for sentence in filter(None, lost.values()):
        st.caption(f":material/block: {sentence}")


def _lost(first: View, other: View, name: str) -> str:
    """Why a detector is not in the table: what A or B lacks; "" where both have it."""
    for tag, one in (("A", first), ("B", other)):
        if name in one.lacking:
            return plain(f"Not compared, because of {tag}: {one.lacking[name]}")
    return ""


_CHOOSE = " Choose a detector in the sidebar that both can run."


def _histogram(one: View, scores: ScoreSet, tag: str, hues: Mapping[str, str]) -> None:
    chart = histogram(
        scores.summary(),
        {n: scores.summary(n) for n in scores.ood},
        colours={n: hues[n] for n in scores.ood},
        score_name=f"{cache.detector_titles()[scores.detector]} score",
    )
    alt = f"{one.experiment.title}: {chart.layout.title.text}"
    axis = chart.layout.xaxis.title.text.replace("in-distribution", "ID")  # half as wide
    chart.update_layout(title_text=f"{tag}: {one.experiment.title}", xaxis_title_text=axis)
    name = f"{one.experiment.name}-scores"
    figures.show(chart, f"compare_{tag.lower()}", name=name, height=360, alt=alt)


def _table(table: pd.DataFrame) -> None:
    table = table.sort_values("apart", key=lambda c: c.isna(), kind="stable")  # shared sets first
    titles = [cache.short_title(n) for n in table["detector"]]
    number = st.column_config.NumberColumn
    st.dataframe(
        table.assign(detector=titles),
        hide_index=True,
        placeholder="–",  # an OOD set that only one of them has
        column_order=[c for c in table.columns if c != "apart"] + ["apart"],
        column_config={
            "detector": st.column_config.Column("Detector", width=100),
            "ood_set": st.column_config.Column("OOD set", width=70),
            "auroc_a": number("AUROC A", format="%.2f", width=64),
            "auroc_b": number("AUROC B", format="%.2f", width=64),
            "auroc_difference": number("B − A", format="%+.2f", width=60),
            "fpr95_a": number("FPR95 A", format="%.2f", width=62),
            "fpr95_b": number("FPR95 B", format="%.2f", width=62),
            "fpr95_difference": number("B − A", format="%+.2f", width=60),
            "apart": st.column_config.CheckboxColumn("Apart", width=50),
        },
    )
    figures.csv_button(table, "compare", key="compare_csv")


def _different(a: Mapping[str, ScoreSet], b: Mapping[str, ScoreSet]) -> str:
    """A sentence for each detector that has other parameters in A than in B."""
    found = {cache.short_title(n): different_params(a[n], b[n]) for n in a if n in b}
    sentences = [
        f" {n}: A with {texts[0]}, B with {texts[1]}." for n, texts in found.items() if texts
    ]
    return "".join(sentences)
