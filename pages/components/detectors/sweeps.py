"""Hyper-parameter sweeps: a curve or a heatmap; a click adopts a setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ood_core.detectors import canonical_name
from ood_core.plots.sweeps import sweep_curve, sweep_heatmap
from ood_core.scoring import sweeps
from pages.components.charts import figures
from pages.components.kit import cache, jobs, state
from pages.components.kit.messages import told
from pages.components.kit.plain import plain
from pages.components.kit.view import Params, View, adopt

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["draw"]

METRICS = {"auroc": "AUROC", "fpr95": "FPR95, ID positive"}


@st.fragment
@told()
def draw(view: View) -> None:
    """Choose detector and parameters, run in the background, draw, adopt."""
    titles = view.able
    sweepable = [name for name in titles if sweeps.axes(name)]
    if not sweepable:
        st.info("No detector here has parameters to sweep.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        detector = state.choose(
            "sweep_detector", sweepable, "line" if "line" in sweepable else sweepable[0],
            renamed=canonical_name, lacking=view.lacking,
        )  # fmt: skip
        st.selectbox(
            "Sweep", sweepable, key="sweep_detector", format_func=titles.__getitem__, width=260
        )
        metric = state.choose("sweep_metric", list(METRICS), "auroc")
        st.segmented_control(
            "Metric",
            list(METRICS),
            key="sweep_metric",
            format_func=METRICS.__getitem__,
            required=True,
        )
    axes = sweeps.axes(detector)
    st.warning(sweeps.TUNED, icon=":material/tune:")
    third = list(axes)[2:3]
    chosen = None
    if third:
        values = {"none" if v >= 1e5 else f"{v:g}": v for v in axes[third[0]]}
        names = list(values)
        name = state.choose("sweep_third", names, names[len(names) // 2 - 1])
        st.segmented_control(third[0], names, key="sweep_third", required=True)
        chosen = values[name]
    state.publish()
    state.notes()
    over = {name: axes[name] for name in list(axes)[:2]}
    fixed = dict(view.params) if detector == view.detector else {}
    fixed = {k: v for k, v in fixed.items() if k not in over} | (
        {third[0]: chosen} if third else {}
    )
    key = ("sweep", view.fingerprint, detector, cache.frozen(fixed), view.layer, view.ood_sets)
    table = jobs.result(
        key,
        lambda progress, stop: sweeps.sweep(
            view.acts, detector, over, fixed, view.layer, view.ood_sets, progress, stop
        ),
        f"Sweeping {titles[detector]} …",
    )
    if table is not None:
        _figure(view, detector, table, list(over), metric, fixed)


def _figure(
    view: View, detector: str, table: pd.DataFrame, names: list[str], metric: str, fixed: Params
) -> None:
    title = f"{cache.detector_titles()[detector]}, mean over {len(view.ood_sets)} OOD sets"
    if len(names) == 2:
        figure = sweep_heatmap(table, (names[0], names[1]), metric, title)
    else:
        figure = sweep_curve(table, names[0], metric, title)
    event = figures.show(
        figure, f"sweep_{detector}_{metric}_{fixed}", data=table, name=f"sweep-{detector}",
        on_select="rerun", selection_mode="points",
    )  # fmt: skip
    _errors(table, names)
    st.caption("Click a point or a cell to take its setting.")
    points = [p for p in event.selection.points if "x" in p]
    if not points:
        return
    picked = sweeps.setting(table, names, [str(points[0]["x"]), str(points[0].get("y"))])
    text = ", ".join(f"{k} = {v:g}" for k, v in (picked | _numbers(fixed)).items())
    if st.button(
        f"Use {cache.detector_titles()[detector]} with {text}",
        key="adopt",
        icon=":material/check:",
        on_click=adopt,
        args=(detector, picked | fixed),
    ):
        st.rerun()  # the sidebar and the other parts of the page must follow


def _numbers(values: Params) -> Params:
    return {k: v for k, v in values.items() if isinstance(v, int | float)}


def _errors(table: pd.DataFrame, names: list[str]) -> None:
    failed = table[table["error"] != ""]
    for reason in failed["error"].unique():
        st.caption(f":material/block: {plain(reason)}")
