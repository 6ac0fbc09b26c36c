"""What the Layers page draws: separation over depth, NAN taken apart, active units, entropy."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from ood_core.detectors import canonical_name
from pages.components.charts import figures
from pages.components.kit import cache, state, words
from pages.components.kit.messages import told
from pages.components.kit.redraw import redraw
from pages.components.kit.tables import wide_table
from pages.components.kit.view import View

if TYPE_CHECKING:
    import pandas as pd

    from ood_core.layers import ActiveUnits, DepthSummary

__all__ = ["apart", "colours", "curves", "units"]

POOL_NAMES = {"gap": "Pooled", "flat": "Every position"}
HEAT = {
    "gain": "NAN minus L1",
    "negative_aware_norm": "NAN",
    "l1": "L1",
    "l2": "L2",
    "sparsity": "Sparsity",
}
MEAN = "mean of the chosen sets"


def colours(view: View) -> dict[str, str]:
    """Colour of the ID test set, then of each chosen OOD set."""
    return {name: view.colour(name) for name in (view.experiment.test_set, *view.ood_sets)}


def _redraw_all() -> None:
    """Redraw the whole page below the choices that all of it follows; from a callback."""
    redraw("layer_curves", "layer_apart", "layer_units")


@st.fragment(key="layer_curves")
@told()
def curves(view: View) -> None:
    """Curves and heatmap over depth; a click on a layer goes there."""
    if words.nothing_to_tell_apart(view.ood_sets):
        return
    if st.session_state.get("layer", view.layer) != view.layer:
        st.rerun()  # a click chose a layer: the sidebar must follow
    from ood_core import layers
    from ood_core.plots import layers as plots

    metric, pool, against, heat = _controls(view)
    with st.spinner("Measuring every layer …"):
        table = cache.once(
            ("layers", view.fingerprint, view.ood_sets, pool),
            lambda: layers.layer_metrics(view.acts, view.experiment.test_set, view.ood_sets, pool),
        )
    chosen = layers.mean_over_sets(table) if against == MEAN else table[table.ood_set == against]
    st.markdown(_headline(layers.best_layers(chosen, metric), metric, against))
    with st.container(key="depth_bench"):
        left, right = st.columns([11, 9], gap="medium")
    with left:
        fig = plots.depth_curves(chosen, metric, view.layer)
        figures.show(fig, "depth_curves", data=table, name="layers",
                     on_select=_go("depth_curves"), selection_mode="points")  # fmt: skip
    with right:
        fig = plots.depth_heatmap(table, heat, metric, view.layer)
        figures.show(fig, "depth_heatmap", data=table, name="layers_map",
                     on_select=_go("depth_heatmap"), selection_mode="points")  # fmt: skip
    state.publish()


def _controls(view: View) -> tuple[str, str, str, str]:
    sets = [MEAN, *view.ood_sets] if len(view.ood_sets) > 1 else list(view.ood_sets)
    metric = state.choose("layers_metric", ["auroc", "fpr95"], "auroc")
    pool = state.choose("layers_pool", list(POOL_NAMES), "gap")
    against = state.choose("layers_against", sets, sets[0])
    heat = state.choose("layers_heat", list(HEAT), "gain", renamed=canonical_name)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.segmented_control("Measure", ["auroc", "fpr95"], key="layers_metric", required=True,
                             format_func=str.upper)  # fmt: skip
        st.segmented_control("Units", list(POOL_NAMES), key="layers_pool", required=True,
                             format_func=POOL_NAMES.__getitem__, on_change=_redraw_all)  # fmt: skip
        st.selectbox("Curves against", sets, key="layers_against", width=240)
        st.segmented_control("Map shows", list(HEAT), key="layers_heat", required=True,
                             format_func=HEAT.__getitem__)  # fmt: skip
        words.words(_DEPTH, equation=r"\mathrm{NAN}(a)=\frac{\lVert a\rVert_1}{\lVert a\rVert_0}")
    state.notes()
    return metric, pool, against, heat


def _headline(summary: DepthSummary, metric: str, against: str) -> str:
    name = metric.upper()
    nan, norm = summary.best["negative_aware_norm"], summary.best["l1"]
    layer, gain = summary.largest_gain
    wins = f"NAN beats the L1 norm at **{len(summary.nan_wins)} of {summary.n_layers}** layers"
    most = f", most at `{layer}` ({100 * gain:+.1f} points)" if gain > 0 else ""
    what = "the mean of the OOD sets" if against == MEAN else against
    return (
        f"Against {what}, NAN is best at `{nan[0]}` ({name} {100 * nan[1]:.2f} %) and the L1 norm "
        f"at `{norm[0]}` ({100 * norm[1]:.2f} %). {wins}{most}. Click a layer to go there."
    )


def _go(key: str) -> Callable[[], None]:
    def follow() -> None:
        points = st.session_state[key].selection.points
        if points:
            layer = points[0]["customdata"]
            state.put("layer", str(layer[0] if isinstance(layer, list) else layer))

    return follow


@st.fragment(key="layer_apart")
@told()
def apart(view: View) -> None:
    """Scatter of the norm against the number of active units, with what each cut accepts."""
    from ood_core import layers
    from ood_core.plots import layer_units as plots

    pool = state.kept("layers_pool", "gap")
    found = cache.once(
        ("nan_apart", view.fingerprint, view.ood_sets, view.layer, pool),
        lambda: layers.nan_apart(
            view.acts, view.experiment.test_set, view.ood_sets, view.layer, pool
        ),
    )
    figures.show(plots.nan_scatter(found, colours(view)), "nan_apart", data=found.points)
    drawn, total = len(found.points), sum(found.totals.values())
    some = f"{drawn:,} of {total:,} images drawn, evenly spaced. " if drawn < total else ""
    with st.container(horizontal=True, wrap=False, gap="xsmall"):
        st.caption(some + _APART, width="stretch")
        words.words(_APART_WORDS, equation=_APART_EQUATION)
    st.html(_auroc_table(view, found.auroc))


def _auroc_table(view: View, table: pd.DataFrame) -> str:
    head = "<th>AUROC, %</th><th>L1 norm</th><th>few active units</th><th>NAN</th>"
    rows = "".join(
        f"<tr><td><i class='chip' style='background:{view.colour(row['ood_set'])}'></i>"
        f"{escape(row['ood_set'])}</td><td>{100 * row['l1']:.2f}</td>"
        f"<td>{100 * row['sparsity']:.2f}</td>"
        f"<td>{100 * row['negative_aware_norm']:.2f}</td></tr>"
        for row in table.to_dict("records")
    )
    return wide_table(
        f"<table class='figures'><tr>{head}</tr>{rows}</table>", "AUROC of the norm's two parts"
    )


@st.fragment(key="layer_units")
@told()
def units(view: View) -> None:
    """Active units per image and entropy of the units, at the chosen layer and over depth."""
    from ood_core import layers
    from ood_core.plots import layer_units
    from ood_core.plots import layers as plots

    pool = state.kept("layers_pool", "gap")
    sets = (view.experiment.test_set, *view.ood_sets)
    key = (view.fingerprint, sets, pool)
    found = cache.once(
        ("active_units", *key, view.layer),
        lambda: layers.active_units(view.acts, sets, view.layer, pool),
    )
    if found.steady:
        st.info(_steady(found), icon=":material/info:")
    fig = layer_units.active_units_figure(found, colours(view), view.layer)
    figures.show(fig, "active_units", data=found.histogram)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        kind = state.choose("layers_entropy", ["layer", "depth"], "layer")
        st.segmented_control("Entropy", ["layer", "depth"], key="layers_entropy", required=True,
                             format_func={"layer": "Entropy at this layer",
                                          "depth": "Mean entropy over depth"}.__getitem__,
                             label_visibility="collapsed")  # fmt: skip
        words.words(_ENTROPY, equation=r"H_i=-p_i\ln p_i-(1-p_i)\ln(1-p_i)")
    if kind == "layer":
        each = cache.once(
            ("entropies", *key, view.layer),
            lambda: {
                name: layers.neuron_entropy(view.acts[name].layer(view.layer), pool)
                for name in sets
            },
        )
        known = {name: entropies for name, entropies in each.items() if entropies is not None}
        fig = layer_units.entropy_histogram(known, colours(view), view.layer)
        figures.show(fig, "entropies", data=lambda: layers.entropy_table(each))
    else:
        table = cache.once(
            ("entropy_by_layer", *key[:2]), lambda: layers.entropy_by_layer(view.acts, sets)
        )
        fig = plots.entropy_curves(table, colours(view), pool, view.layer)
        figures.show(fig, "entropy_depth", data=table)
    state.publish()


def _steady(found: ActiveUnits) -> str:
    row = found.summary.iloc[0]
    return (
        f"Almost every ID image has the same number of active units: {row['mean']:,.0f} of "
        f"{found.n_units:,} on average, varying by {100 * row.variation:.1f} %. NAN is close to "
        "the L1 norm divided by a constant here."
    )


_DEPTH = (
    "At every layer, each image gives four numbers: the L1 and the L2 norm of its activation, the "
    "sparsity (one over the number of active units, those above zero) and NAN, their product with "
    "the L1 norm: the mean strength of the units that respond. Pooled takes the mean over the "
    "positions of each channel first; every position takes each as a unit of its own. The curves "
    "say how well each number alone tells ID from OOD images (ID is the positive class)."
)
_APART = (
    "The curves at the edges count every image; the axes hold 99 % of each set. Both cuts accept "
    "95 % of the ID images: the norm alone along the dashed line, NAN along the solid one through "
    "the origin."
)
_APART_WORDS = (
    "Each point is an image. The norm alone accepts what lies above the horizontal line. NAN "
    "divides by the number of active units, so its border is a line through the origin: an image "
    "with few but strong units is accepted although its norm is small, and one with many weak "
    "units is rejected although its norm is large. Both lines accept 95 % of the ID images. Where "
    "ID and OOD differ in the number of active units, the slanted line separates better."
)
_APART_EQUATION = (
    r"\lVert a\rVert_0=\#\{i: a_i>0\},\qquad \mathrm{NAN}=\lVert a\rVert_1/\lVert a\rVert_0"
)
_ENTROPY = (
    "A unit that is on for every second image has the largest entropy, ln 2 = 0.693 nats (the unit "
    "of natural logarithms); one that is always on or always off says nothing about the image and "
    "has 0. p is the share of the "
    "set's images on which the unit is active. The NAN paper links high entropy to layers whose "
    "norm acts like a classifier's confidence (Eq. 7)."
)
